// The planted bugs: kernels that come in two versions, one wrong and one right, differing by as little as can be.
#pragma once
#include <cuda_fp16.h>

#include <functional>
#include <string>
#include <vector>

namespace fathom::bugs {

inline constexpr int kThreads = 128;          // of every block
inline constexpr int kValues = 8 * kThreads;  // in x, in x_half and in y

struct Arena {  // device memory; y starts as zeros, x[i] = x_half[i] = value(i), counter[0] = 0
  const float* x;
  const __half* x_half;
  float* y;
  unsigned* counter;
};
inline float value(int i) { return static_cast<float>(i * 79 % 101) - 30; }  // exact in fp16 too

struct Case {
  std::string name;
  std::function<void(bool bad, const Arena&)> run;
  std::function<float(int i)> expected;  // y[i]
};

std::vector<Case> shared_memory_cases();  // bugs_shared.cu
std::vector<Case> global_memory_cases();  // bugs_global.cu
std::vector<Case> async_copy_cases();     // bugs_copies.cu
std::vector<Case> divergence_cases();     // bugs_divergence.cu

}  // namespace fathom::bugs
