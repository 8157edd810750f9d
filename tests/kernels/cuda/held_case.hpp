// A case by one kernel or another, each held against the reference; and files of choices to tell by which.
#pragma once

#include <fstream>
#include <iterator>

#include "engine/cuda/tuning.hpp"
#include "tests/kernels/cuda/check_cuda.hpp"

namespace fathom::test {

inline std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

// A case as a precision stores it, to be held against the reference.
struct HeldCase {
  std::string name;
  bool halves;
  double tolerance;
  std::vector<std::vector<float>> values;
  std::vector<float> wanted;
  Desc out;
  Case stored;

  HeldCase(const Case& c, Precision precision)
      : name(c.name),
        halves(precision == Precision::fp16),
        tolerance(precision == Precision::fp32 ? 1e-5 : 2e-3),
        values(halves ? rounded(values_of(c)) : values_of(c)),
        out(infer(c.op, c.in)),
        stored(halves ? in_halves(c, out) : c) {
    ReferenceBackend reference;
    wanted = run_op(c, values, reference).values;
  }
  // Run by a backend: the name of its kernel.
  template <class B>
  std::string kernel(B& backend, const RunOptions& options = {}) const {
    const RunResult got = run_op(stored, values, backend, options, DeviceMemory(), &out);
    const Difference d = compare(got.values, wanted);
    INFO(name << ", " << got.step.kernel << ": " << to_text(d));
    CHECK(d.within(tolerance));
    return got.step.kernel;
  }
};

// The kernel that a case is run by with such a file, its results held against the reference.
inline std::string kernel_by(const Case& c, Precision precision, const std::string& path,
                             std::string* warning = nullptr) {
  const auto tuning = std::make_shared<Tuning>(path, "this GPU");
  CudaBackend cuda(GpuInfo::current(), precision, Constants::packed, tuning);
  const std::string kernel = HeldCase(c, precision).kernel(cuda);
  if (warning) *warning = tuning->warning();
  return kernel;
}

}  // namespace fathom::test
