// Shared memory used without the barrier it needs, outside its bounds, or before it was written.
#include "kernels/cuda/gpu.cuh"
#include "tests/emulator/selftest/bugs.hpp"

namespace fathom::bugs {
namespace {

// y[t] = x[127 - t], through shared memory: the barrier lets the writers finish.
template <bool Bad>
__global__ void read_too_early(const float* x, float* y) {
  GPU_SHARED(float, s, [kThreads]);
  const int t = static_cast<int>(threadIdx.x);
  s[t] = x[t];
  if (!Bad) __syncthreads();
  y[t] = s[kThreads - 1 - t];
}

// A buffer used again in a loop: the second barrier lets the readers finish.
template <bool Bad>
__global__ void write_too_early(const float* x, float* y) {
  GPU_SHARED(float, s, [kThreads]);
  const int t = static_cast<int>(threadIdx.x);
  float sum = 0;
  for (int i = 0; i < 4; ++i) {
    s[t] = x[i * kThreads + t];
    __syncthreads();
    sum += s[(t + 37) % kThreads] * static_cast<float>(i + 1);
    if (!Bad) __syncthreads();
  }
  y[t] = sum;
}

// Neighbours of one warp: __syncwarp is enough, but needed.
template <bool Bad>
__global__ void swap_neighbours(const float* x, float* y) {
  GPU_SHARED(float, s, [kThreads]);
  const int t = static_cast<int>(threadIdx.x);
  s[t] = x[t];
  if (!Bad) __syncwarp();
  y[t] = s[t ^ 1];
}

// The sum of a warp as it was written when warps ran in lockstep.
template <bool Bad>
__global__ void lockstep_sum(const float* x, float* y) {
  GPU_SHARED(float, s, [kThreads]);
  const int t = static_cast<int>(threadIdx.x), lane = t % 32;
  float* warp = s + (t - lane);
  s[t] = x[t];
  __syncwarp();
  for (int reach = 16; reach > 0; reach /= 2) {
    const float pair = lane < reach ? warp[lane] + warp[lane + reach] : 0;
    if (!Bad) __syncwarp();
    if (lane < reach) warp[lane] = pair;
    if (!Bad) __syncwarp();
  }
  y[t] = warp[0];
}

// All threads write the same value: no order gives a wrong result, and it is a race all the same.
template <bool Bad>
__global__ void write_same_value(const float* x, float* y) {
  GPU_SHARED(float, s, [1]);
  if (Bad || threadIdx.x == 0) s[0] = x[0];
  __syncthreads();
  y[threadIdx.x] = s[0];
}

// One float past the end of the first of two arrays.
template <bool Bad>
__global__ void past_static_array(const float* x, float* y) {
  GPU_SHARED(float, first, [kThreads]);
  GPU_SHARED(float, second, [kThreads]);
  const int t = static_cast<int>(threadIdx.x), shift = Bad ? 1 : 0;
  float* p = first;  // through a pointer, as computed offsets are
  p[t + shift] = x[t];
  second[t] = 0;
  __syncthreads();
  y[t] = p[t + shift] + second[t];
}

template <bool Bad>
__global__ void past_dynamic_array(const float* x, float* y) {
  GPU_DYNAMIC_SHARED(bytes);
  auto* s = reinterpret_cast<float*>(bytes);
  const int t = static_cast<int>(threadIdx.x), shift = Bad ? 4 : 0;
  s[t + shift] = x[t];
  __syncthreads();
  y[t] = s[t + shift];
}

template <bool Bad>
__global__ void before_dynamic_array(const float* x, float* y) {
  GPU_DYNAMIC_SHARED(bytes);
  auto* s = reinterpret_cast<float*>(bytes);
  const int t = static_cast<int>(threadIdx.x), shift = Bad ? 1 : 0;
  s[t - shift] = x[t];
  __syncthreads();
  y[t] = s[t - shift];
}

// Only a read leaves the array.
template <bool Bad>
__global__ void read_past_array(const float* x, float* y) {
  GPU_SHARED(float, s, [kThreads]);
  const int t = static_cast<int>(threadIdx.x);
  const float* p = s;
  s[t] = x[t];
  __syncthreads();
  y[t] = p[Bad ? t + 1 : t];
}

// 100 of 128 values are loaded; the right version fills up with zeros.
template <bool Bad>
__global__ void unwritten(const float* x, float* y) {
  GPU_SHARED(float, s, [kThreads]);
  const int t = static_cast<int>(threadIdx.x);
  if (t < 100) s[t] = x[t];
  if (!Bad && t >= 100) s[t] = 0;
  __syncthreads();
  float sum = 0;
  for (float v : s) sum += v < 0 ? 0 : v;
  y[t] = sum;
}

template <class Kernel>
void launch(Kernel kernel, const Arena& a, std::size_t shared_bytes = 0) {
  gpu::launch(kernel, {.grid = 1, .block = kThreads, .shared_bytes = shared_bytes}, nullptr, a.x, a.y);
}
float same(int i) { return value(i); }

}  // namespace

std::vector<Case> shared_memory_cases() {
  const auto warp_sum = [](int i) {
    float sum = 0;
    for (int lane = 0; lane < 32; ++lane) sum += value(i / 32 * 32 + lane);
    return sum;
  };
  const auto weighted = [](int t) {
    float sum = 0;
    for (int i = 0; i < 4; ++i) sum += value(i * kThreads + (t + 37) % kThreads) * static_cast<float>(i + 1);
    return sum;
  };
  const auto sum_of_100 = [](int) {
    float sum = 0;
    for (int i = 0; i < 100; ++i) sum += value(i) < 0 ? 0 : value(i);
    return sum;
  };
  constexpr std::size_t kBytes = kThreads * sizeof(float);
  return {
      {"read_too_early",
       [](bool bad, const Arena& a) { launch(bad ? read_too_early<true> : read_too_early<false>, a); },
       [](int t) { return value(kThreads - 1 - t); }},
      {"write_too_early",
       [](bool bad, const Arena& a) { launch(bad ? write_too_early<true> : write_too_early<false>, a); }, weighted},
      {"missing_syncwarp",
       [](bool bad, const Arena& a) { launch(bad ? swap_neighbours<true> : swap_neighbours<false>, a); },
       [](int t) { return value(t ^ 1); }},
      {"lockstep_sum", [](bool bad, const Arena& a) { launch(bad ? lockstep_sum<true> : lockstep_sum<false>, a); },
       warp_sum},
      {"same_value_race",
       [](bool bad, const Arena& a) { launch(bad ? write_same_value<true> : write_same_value<false>, a); },
       [](int) { return value(0); }},
      {"past_static_array",
       [](bool bad, const Arena& a) { launch(bad ? past_static_array<true> : past_static_array<false>, a); }, same},
      {"past_dynamic_array",
       [=](bool bad, const Arena& a) { launch(bad ? past_dynamic_array<true> : past_dynamic_array<false>, a, kBytes); },
       same},
      {"before_dynamic_array",
       [=](bool bad, const Arena& a) {
         launch(bad ? before_dynamic_array<true> : before_dynamic_array<false>, a, kBytes);
       },
       same},
      {"read_past_array",
       [](bool bad, const Arena& a) { launch(bad ? read_past_array<true> : read_past_array<false>, a); }, same},
      {"unwritten_shared", [](bool bad, const Arena& a) { launch(bad ? unwritten<true> : unwritten<false>, a); },
       sum_of_100},
  };
}

}  // namespace fathom::bugs
