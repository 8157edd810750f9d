#include "bench/ops_benchmark.hpp"

#include "fathom/error.hpp"

#ifdef FATHOM_HAS_BENCHMARK
#include <benchmark/benchmark.h>

#include <optional>
#endif

namespace fathom {

#ifdef FATHOM_HAS_BENCHMARK

void run_benchmarks(const std::vector<OpProblem>& problems, Backend& backend, const OpsOptions& options) {
  std::vector<std::string> words = {"fathom_bench", "--benchmark_counters_tabular=true"};
  if (!options.filter.empty()) words.push_back("--benchmark_filter=" + options.filter);
  if (!options.json.empty())
    words.insert(words.end(), {"--benchmark_out=" + options.json, "--benchmark_out_format=json"});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  int count = static_cast<int>(arguments.size());
  for (const auto& [key, value] : options.recipe) benchmark::AddCustomContext(key, value);
  benchmark::Initialize(&count, arguments.data());

  // Google Benchmark calls each function a few times: what it prepares is kept until the next one's turn.
  std::optional<OpRun> current;
  std::string current_name, why_not;
  const auto add = [&](const OpProblem& problem, const std::string& name, const std::string& library) {
    const auto body = [&, name, library](benchmark::State& state) {
      if (current_name != name) {
        current.reset(), current_name = name;
        try {
          current.emplace(problem, backend, library);
          current->milliseconds();
        } catch (const Error& e) {
          if (e.kind() != ErrorKind::unsupported || library.empty()) throw;
          current.reset(), why_not = e.what();
        }
      }
      if (!current) return state.SkipWithError(why_not.c_str());
      for (auto _ : state) state.SetIterationTime(current->milliseconds() / 1e3);
      using benchmark::Counter;
      const Step& step = current->step();
      state.SetLabel(step.kernel);
      state.counters["flop/s"] = Counter(step.flops, Counter::kIsIterationInvariantRate);
      state.counters["bytes/s"] = Counter(step.bytes, Counter::kIsIterationInvariantRate);
      state.counters["times"] = problem.count;
    };
    benchmark::RegisterBenchmark(name.c_str(), body)
        ->UseManualTime()
        ->MinTime(options.seconds)
        ->Unit(benchmark::kMicrosecond);
  };
  for (const OpProblem& problem : problems) {
    add(problem, problem.name, "");
    if (!options.libraries) continue;
    for (const std::string& library : libraries_for(problem)) add(problem, problem.name + "/" + library, library);
  }
  if (!benchmark::RunSpecifiedBenchmarks())
    throw Error(ErrorKind::usage, "ops: no name matches '" + options.filter + "'");
  benchmark::ClearRegisteredBenchmarks();
}

#else

void run_benchmarks(const std::vector<OpProblem>&, Backend&, const OpsOptions&) {
  throw Error(ErrorKind::unsupported,
              "ops: this build has no Google Benchmark: install it (Debian: libbenchmark-dev) and configure again, or "
              "use --list");
}

#endif

}  // namespace fathom
