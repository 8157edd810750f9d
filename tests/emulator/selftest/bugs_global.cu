// Global memory outside its bounds, misaligned, or shared by threads and blocks without order.
#include "kernels/cuda/gpu.cuh"
#include "tests/emulator/selftest/bugs.hpp"

namespace fathom::bugs {
namespace {

template <bool Bad>
__global__ void read_past_end(const float* x, float* y, int n) {
  const int i = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  const float v = (Bad ? i <= n : i < n) ? x[i] : 0;
  if (i < n) y[i] = v;
}

template <bool Bad>
__global__ void write_past_end(const float* x, float* y, int n) {
  const int i = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (Bad ? i <= n : i < n) y[i] = i < n ? x[i] : 0;
}

// The same without the vocabulary's own check.
template <bool Bad>
__global__ void misaligned_plain(const float* x, float* y) {
  const int i = static_cast<int>(threadIdx.x);
  const auto* wide = reinterpret_cast<const float4*>(x + 4 * i + (Bad ? 2 : 0));
  y[i] = Bad ? wide->z : wide->x;
}

template <bool Bad>
__global__ void misaligned_vec(const float* x, float* y) {
  const int i = static_cast<int>(threadIdx.x);
  const auto v = gpu::load_vec<4>(x + 4 * i + (Bad ? 2 : 0));
  y[i] = Bad ? v[2] : v[0];
}

// y[0] = sum of x over the block.
template <bool Bad>
__global__ void sum_in_block(const float* x, float* y) {
  if (Bad)
    y[0] += x[threadIdx.x];
  else
    atomicAdd(y, x[threadIdx.x]);
}

// y[t] = sum over blocks b of x[128 b + t].
template <bool Bad>
__global__ void sum_over_blocks(const float* x, float* y) {
  const float v = x[blockIdx.x * kThreads + threadIdx.x];
  if (Bad)
    y[threadIdx.x] += v;
  else
    atomicAdd(y + threadIdx.x, v);
}

// The last block adds up what the others wrote: y[t] = sum over blocks, partial sums in y[128 (1 + b) + t].
template <bool Bad>
__global__ void sum_in_last_block(const float* x, float* y, unsigned* counter) {
  GPU_SHARED(unsigned, arrived, [1]);
  const int t = static_cast<int>(threadIdx.x);
  float* partial = y + kThreads;
  partial[blockIdx.x * kThreads + threadIdx.x] = x[blockIdx.x * kThreads + threadIdx.x];
  bool last = false;
  if (Bad) {  // no fence: the counter may be seen before the partial sums
    __syncthreads();
    if (t == 0) arrived[0] = atomicInc(counter, gridDim.x - 1);
    __syncthreads();
    last = arrived[0] == gridDim.x - 1;
  } else {
    last = gpu::last_block(counter, gridDim.x);
  }
  if (!last) return;
  float sum = 0;
  for (unsigned b = 0; b < gridDim.x; ++b) sum += partial[b * kThreads + threadIdx.x];
  y[t] = sum;
}

template <class Kernel>
void launch(Kernel kernel, int blocks, const Arena& a) {
  gpu::launch(kernel, {.grid = static_cast<unsigned>(blocks), .block = kThreads}, nullptr, a.x, a.y);
}
float same(int i) { return value(i); }

}  // namespace

std::vector<Case> global_memory_cases() {
  const auto launch_n = [](auto kernel, const Arena& a) {
    gpu::launch(kernel, {.grid = kValues / kThreads + 1, .block = kThreads}, nullptr, a.x, a.y, kValues);
  };
  const auto launch_counted = [](auto kernel, const Arena& a) {
    gpu::launch(kernel, {.grid = 6, .block = kThreads}, nullptr, a.x, a.y, a.counter);
  };
  const auto sum_down = [](int blocks) {
    return [blocks](int t) {
      float sum = 0;
      for (int b = 0; b < blocks; ++b) sum += value(b * kThreads + t);
      return sum;
    };
  };
  const auto first_is_block_sum = [](int i) {
    float sum = 0;
    for (int t = 0; i == 0 && t < kThreads; ++t) sum += value(t);
    return sum;
  };
  return {
      {"read_past_end",
       [=](bool bad, const Arena& a) { launch_n(bad ? read_past_end<true> : read_past_end<false>, a); }, same},
      {"write_past_end",
       [=](bool bad, const Arena& a) { launch_n(bad ? write_past_end<true> : write_past_end<false>, a); }, same},
      {"misaligned_plain",
       [](bool bad, const Arena& a) { launch(bad ? misaligned_plain<true> : misaligned_plain<false>, 1, a); },
       [](int i) { return value(4 * i); }},
      {"misaligned_vec",
       [](bool bad, const Arena& a) { launch(bad ? misaligned_vec<true> : misaligned_vec<false>, 1, a); },
       [](int i) { return value(4 * i); }},
      {"sum_in_block", [](bool bad, const Arena& a) { launch(bad ? sum_in_block<true> : sum_in_block<false>, 1, a); },
       first_is_block_sum},
      {"sum_over_blocks",
       [](bool bad, const Arena& a) { launch(bad ? sum_over_blocks<true> : sum_over_blocks<false>, 8, a); },
       sum_down(8)},
      {"missing_fence",
       [=](bool bad, const Arena& a) { launch_counted(bad ? sum_in_last_block<true> : sum_in_last_block<false>, a); },
       sum_down(6)},
  };
}

}  // namespace fathom::bugs
