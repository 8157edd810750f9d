// Asynchronous copies: not waited for, waited for too little, not shared by a barrier, overwritten while in use.
#include "kernels/cuda/gpu.cuh"
#include "tests/emulator/selftest/bugs.hpp"

namespace fathom::bugs {
namespace {

constexpr int kSteps = 2, kStageFloats = 4 * kThreads;  // 16 bytes per thread and step

enum class Fault { none, no_wait, no_barrier, wait_off_by_one, issue_before_barrier };

// Reads its own copy where a barrier is not the matter, and a neighbour's where it is.
template <Fault F>
__global__ void copy_once(const float* x, float* y, int neighbour) {
  GPU_SHARED(float, s, [kStageFloats]);
  const int t = static_cast<int>(threadIdx.x);
  gpu::cp_async<16>(s + 4 * t, x + 4 * t);
  gpu::cp_async_commit();
  if (F != Fault::no_wait) gpu::cp_async_wait<0>();
  if (F != Fault::no_barrier) __syncthreads();
  y[t] = s[(t + neighbour) % kThreads * 4];
}

// A ring of three stages, each step's copy issued two steps ahead: y[t] = sum over steps i of (i + 1) x[step i].
// The barrier says that all copies of step i have arrived, and that nobody reads step i - 1 any more, whose stage the
// copy for step i + 2 takes over.
template <Fault F>
__global__ void copy_ring(const float* x, float* y, int steps) {
  GPU_SHARED(float, s, [3][kStageFloats]);
  const int t = static_cast<int>(threadIdx.x);
  const auto issue = [&](int step) {
    if (step < steps) gpu::cp_async<16>(&s[step % 3][4 * t], x + step % kSteps * kStageFloats + 4 * t);
    gpu::cp_async_commit();
  };
  issue(0);
  issue(1);
  float sum = 0;
  for (int i = 0; i < steps; ++i) {
    if (F == Fault::issue_before_barrier) issue(i + 2);
    gpu::cp_async_wait<F == Fault::none ? 1 : 2>();
    __syncthreads();
    if (F != Fault::issue_before_barrier) issue(i + 2);
    sum += s[i % 3][(t + 40) % kThreads * 4] * static_cast<float>(i + 1);
  }
  y[t] = sum;
}

// The source must be a multiple of 16 bytes, like the destination.
template <bool Bad>
__global__ void copy_misaligned(const float* x, float* y, int) {
  GPU_SHARED(float, s, [kStageFloats]);
  const int t = static_cast<int>(threadIdx.x);
  gpu::cp_async<16>(s + 4 * t, x + 4 * t + (Bad ? 1 : 0));
  gpu::cp_async_wait_all();
  y[t] = s[4 * t];
}

// The last thread's copy begins behind the end of x.
template <bool Bad>
__global__ void copy_past_end(const float* x, float* y, int n) {
  GPU_SHARED(float, s, [kStageFloats]);
  const int t = static_cast<int>(threadIdx.x), at = n - kStageFloats + 4 * t + (Bad ? 4 : 0);
  gpu::cp_async<16>(s + 4 * t, x + at);
  gpu::cp_async_wait_all();
  y[t] = s[4 * t + 3];
}

template <bool Bad>
__global__ void copy_past_stage(const float* x, float* y, int) {
  GPU_SHARED(float, s, [kStageFloats]);
  const int t = static_cast<int>(threadIdx.x);
  gpu::cp_async<16>(&s[0] + 4 * t + (Bad ? 4 : 0), x + 4 * t);
  gpu::cp_async_wait_all();
  y[t] = s[4 * t];
}

template <class Kernel>
void launch(Kernel kernel, const Arena& a, int argument) {
  gpu::launch(kernel, {.grid = 1, .block = kThreads}, nullptr, a.x, a.y, argument);
}

}  // namespace

std::vector<Case> async_copy_cases() {
  static constexpr int kRingSteps = 7;
  const auto ring = [](int t) {
    float sum = 0;
    for (int i = 0; i < kRingSteps; ++i) {
      sum += value(i % kSteps * kStageFloats + (t + 40) % kThreads * 4) * static_cast<float>(i + 1);
    }
    return sum;
  };
  const auto own = [](int t) { return value(4 * t); };
  return {
      {"copy_not_awaited",
       [](bool bad, const Arena& a) { launch(bad ? copy_once<Fault::no_wait> : copy_once<Fault::none>, a, 0); }, own},
      {"copy_no_barrier",
       [](bool bad, const Arena& a) { launch(bad ? copy_once<Fault::no_barrier> : copy_once<Fault::none>, a, 40); },
       [](int t) { return value((t + 40) % kThreads * 4); }},
      {"copy_wait_off_by_one",
       [](bool bad, const Arena& a) {
         launch(bad ? copy_ring<Fault::wait_off_by_one> : copy_ring<Fault::none>, a, kRingSteps);
       },
       ring},
      {"copy_overwrites_stage",
       [](bool bad, const Arena& a) {
         launch(bad ? copy_ring<Fault::issue_before_barrier> : copy_ring<Fault::none>, a, kRingSteps);
       },
       ring},
      {"copy_misaligned",
       [](bool bad, const Arena& a) { launch(bad ? copy_misaligned<true> : copy_misaligned<false>, a, 0); }, own},
      {"copy_past_end",
       [](bool bad, const Arena& a) { launch(bad ? copy_past_end<true> : copy_past_end<false>, a, kValues); },
       [](int t) { return value(kValues - kStageFloats + 4 * t + 3); }},
      {"copy_past_stage",
       [](bool bad, const Arena& a) { launch(bad ? copy_past_stage<true> : copy_past_stage<false>, a, 0); }, own},
  };
}

}  // namespace fathom::bugs
