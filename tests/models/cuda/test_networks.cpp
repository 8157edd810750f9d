// Whole networks on the GPU, through passes, plan, steps and graphs, against the reference backend: in CI with their
// channels divided, at the smallest sizes, since there the GPU is emulated.
#include <cstdlib>

#include "tests/models/cuda/networks.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

struct Row {
  const char* name;
  int width, height;
  int divisor;  // of the channels, in CI
};

// RefineNet on 32x32 makes rounding of products to ten bits up to 1.6e-2 of the result, whoever computes it; on 64x64 4e-3.
constexpr Row rows[] = {
    {"hr_depth", 64, 64, 4},          {"lite_hr_depth", 64, 64, 1},         {"drnet_resnet50_guided", 32, 32, 8},
    {"drnet_densenet161", 32, 32, 8}, {"drnet_senet154", 32, 32, 8},        {"rside_resnet50", 32, 32, 8},
    {"cnd_stereo", 16, 16, 8},        {"refinenet_mobilenetv2", 64, 64, 4}, {"umich_squeezenet", 32, 32, 4},
    {"mobile_baseline_1", 32, 32, 1},
};

void expect_reference(const std::string& name, const Frame& frame,
                      const std::function<Engine(const EngineOptions&)>& load) {
  if (const char* only = std::getenv("FATHOM_NETWORK"); only && name != only) return;  // for looking into one
  const Engine reference = load({.device = Device::reference, .fuse = false});
  const Pictures pictures = pictures_for(reference, frame);
  Session oracle = reference.session();
  const Outputs wanted = run_all(reference, oracle, frame, pictures);
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::fp16}) {
    const std::clock_t start = std::clock();
    INFO(name << ", " << name_of(precision));
    double error = INFINITY;  // what throws fails alone: the other networks go on
    try {
      const Engine engine = load({.device = Device::cuda, .precision = precision});
      Session session = engine.session();
      error = error_of(run_all(engine, session, frame, pictures), wanted);
    } catch (const std::exception& e) {
      FAIL_CHECK(e.what());
    }
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    std::printf("%s  %-24s %dx%d  error %.1e  %6.2f s\n", name_of(precision), name.c_str(), frame.width, frame.height,
                error, seconds);
    std::fflush(stdout);
    CHECK(error <= tolerance_of(precision));
  }
}

}  // namespace

TEST_CASE("networks of divided channels equal the reference", "[networks]") {
  const TemporaryFolder folder;
  for (const Row& row : rows) {
    const Frame frame{1, row.height, row.width};
    const std::string path = folder / (std::string(row.name) + ".safetensors");
    write_narrowed(path, row.name, frame, row.divisor);
    expect_reference(row.name, frame, [&](const EngineOptions& o) { return Engine::load(path, o); });
  }
}

TEST_CASE("whole networks equal the reference", "[networks][long]") {
  for (const Row& row : rows) {
    const Frame frame{1, row.height, row.width};
    expect_reference(row.name, frame, [&](EngineOptions o) {
      o.input_width = row.width, o.input_height = row.height;
      return Engine::synthetic(row.name, o);
    });
  }
}
