// Every network's golden file on the GPU, fused and planned, in float32 and in halves. FATHOM_GOLDEN: their folder,
// where it is not that of the sources this was built from.
#include <cstdlib>

#include "engine/cuda_module.hpp"
#include "engine/program.hpp"
#include "tests/models/cuda/networks.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

std::vector<std::string> golden_paths() {
  const char* folder = std::getenv("FATHOM_GOLDEN");
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder ? folder : FATHOM_SOURCE_DIR "/tests/golden"))
    if (entry.path().extension() == ".safetensors" &&
        SafetensorsFile::open(entry.path().string())->metadata().contains("network"))
      paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

// Twice, the second time by a graph.
double error_of_golden(const Golden& golden, Precision precision) {
  const std::unique_ptr<Backend> backend = open_cuda_backend({precision});
  CompileOptions options;
  for (const auto& [name, values] : golden.outputs) options.outputs.push_back(name);
  const auto program = std::make_shared<const Program>(compile(build(golden), *backend, options));
  const std::unique_ptr<Queue> queue = backend->queue();
  Binding binding(program, backend->allocate(program->memory.arena_bytes + 64),
                  {backend->allocate_zeroed(program->counters() * 4 + 64), queue.get(), false, backend->alignment()});
  std::vector<std::shared_ptr<std::byte>> kept;
  std::vector<const void*> inputs;
  for (Value v : program->graph.inputs) {
    const auto& picture = golden.inputs.at(program->graph[v].name);
    const auto bytes = static_cast<std::int64_t>(picture.size());
    kept.push_back(backend->allocate(bytes));
    queue->upload(kept.back().get(), picture.data(), bytes);
    inputs.push_back(kept.back().get());
  }
  std::vector<float*> outputs;
  for (const Desc& d : program->outputs) {
    kept.push_back(backend->allocate(d.span_bytes()));
    outputs.push_back(reinterpret_cast<float*>(kept.back().get()));
  }
  double worst = 0;
  for (int round = 0; round < 2; ++round) {
    binding.run(inputs, outputs, queue->stream());
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      std::vector<float> values(static_cast<std::size_t>(program->outputs[k].elements()), std::nanf(""));
      queue->download(values.data(), outputs[k], static_cast<std::int64_t>(values.size()) * 4);
      queue->wait(queue->stream());
      worst = std::max(worst, error_of(values, golden.outputs.at(program->graph.outputs[k].name)));
    }
  }
  return worst;
}

}  // namespace

TEST_CASE("every network meets its golden file on the GPU", "[golden][long]") {
  for (const std::string& path : golden_paths()) {
    if (const char* only = std::getenv("FATHOM_NETWORK");
        only && !std::filesystem::path(path).stem().string().starts_with(only))
      continue;  // for looking into some
    const Golden golden = read_golden(path);
    for (const Precision precision : {Precision::fp32, Precision::fp16}) {
      const std::clock_t start = std::clock();
      INFO(path << ", " << name_of(precision));
      double error = INFINITY;  // what throws fails alone: the other networks go on
      try {
        error = error_of_golden(golden, precision);
      } catch (const std::exception& e) {
        FAIL_CHECK(e.what());
      }
      std::printf("%s  %-44s error %.1e  %7.2f s\n", name_of(precision), std::filesystem::path(path).stem().c_str(),
                  error, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
      std::fflush(stdout);
      CHECK(error <= tolerance_of(precision));
    }
  }
}
