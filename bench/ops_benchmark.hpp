// `fathom_bench ops`: single operations under Google Benchmark, where the build has it.
#pragma once

#include <string>
#include <vector>

#include "bench/ops.hpp"

namespace fathom {

struct OpsOptions {
  bool libraries = false;  // each operation also by the device's own libraries, where they have it
  double seconds = 0.1;    // of measuring per operation
  std::string filter;      // a regular expression of names; empty: all
  std::string json;        // also written here, by Google Benchmark
  std::vector<std::pair<std::string, std::string>> recipe;
};

// Throws Error{unsupported} where the build has no Google Benchmark.
void run_benchmarks(const std::vector<OpProblem>& problems, Backend& backend, const OpsOptions& options);

}  // namespace fathom
