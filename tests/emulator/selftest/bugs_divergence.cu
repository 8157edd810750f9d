// Barriers and warp operations that not all who are called come to, and ldmatrix with addresses it cannot take.
#include "kernels/cuda/gpu.cuh"
#include "tests/emulator/selftest/bugs.hpp"

namespace fathom::bugs {
namespace {

// y[t] = x[t] + x[t ^ 1]
template <bool Bad>
__global__ void shuffle_in_half_warp(const float* x, float* y) {
  float v = x[threadIdx.x];
  if (!Bad || threadIdx.x % 32 < 16) v += __shfl_xor_sync(~0u, v, 1);
  y[threadIdx.x] = v;
}

template <bool Bad>
__global__ void shuffle_at_two_places(const float* x, float* y) {
  float v = x[threadIdx.x];
  if (Bad && threadIdx.x % 2 == 0) {
    v += __shfl_xor_sync(~0u, v, 1);
  } else {
    v += __shfl_xor_sync(~0u, v, 1);
  }
  y[threadIdx.x] = v;
}

// The same two calls, hidden in a helper of the vocabulary.
template <bool Bad>
__global__ void sum_at_two_places(const float* x, float* y) {
  float v = x[threadIdx.x];
  if (Bad && threadIdx.x % 2 == 0) {
    v = gpu::warp_sum<2>(v);
  } else {
    v = gpu::warp_sum<2>(v);
  }
  y[threadIdx.x] = v;
}

template <bool Bad>
__global__ void shuffle_after_exit(const float* x, float* y) {
  if (Bad && threadIdx.x >= 100) return;
  float v = x[threadIdx.x];
  v += __shfl_xor_sync(~0u, v, 1);
  y[threadIdx.x] = v;
}

// The mask leaves out a lane that executes the shuffle.
template <bool Bad>
__global__ void shuffle_with_wrong_mask(const float* x, float* y) {
  float v = x[threadIdx.x];
  v += __shfl_xor_sync(Bad ? 0x7FFFFFFFu : ~0u, v, 1);
  y[threadIdx.x] = v;
}

// y[t] = x[t]
template <bool Bad>
__global__ void barrier_at_two_places(const float* x, float* y) {
  if (Bad && threadIdx.x < 64) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  y[threadIdx.x] = x[threadIdx.x];
}

template <bool Bad>
__global__ void barrier_after_exit(const float* x, float* y) {
  y[threadIdx.x] = x[threadIdx.x];
  if (Bad && threadIdx.x >= 100) return;
  __syncthreads();
}

// Some lanes wait for their warp, which waits for the block.
template <bool Bad>
__global__ void wait_for_each_other(const float* x, float* y) {
  if (Bad && threadIdx.x % 32 < 8) __syncwarp();
  __syncthreads();
  y[threadIdx.x] = x[threadIdx.x];
}

// y[t] = the first half of row t % 16, times two: ldmatrix gives lane 4 r the first pair of row r.
template <bool Bad>
__global__ void ldmatrix_misaligned(const __half* x, float* y) {
  GPU_SHARED(__half, s, [16 * 8 + 8]);
  const int t = static_cast<int>(threadIdx.x);
  s[t] = x[t];
  if (t < 8) s[128 + t] = x[t];
  __syncthreads();
  unsigned r[2];
  gpu::ldmatrix(r, s + t % 16 * 8 + (Bad ? 4 : 0));
  const float2 first = gpu::unpack_halves(__shfl_sync(~0u, r[0], t % 8 * 4));
  const float2 second = gpu::unpack_halves(__shfl_sync(~0u, r[1], t % 8 * 4));
  y[t] = 2 * (t % 16 < 8 ? first.x : second.x);
}

template <class Kernel>
void launch(Kernel kernel, const Arena& a) {
  gpu::launch(kernel, {.grid = 1, .block = kThreads}, nullptr, a.x, a.y);
}
float same(int i) { return value(i); }
float with_neighbour(int t) { return value(t) + value(t ^ 1); }

}  // namespace

std::vector<Case> divergence_cases() {
  return {
      {"shuffle_in_half_warp",
       [](bool bad, const Arena& a) { launch(bad ? shuffle_in_half_warp<true> : shuffle_in_half_warp<false>, a); },
       with_neighbour},
      {"shuffle_at_two_places",
       [](bool bad, const Arena& a) { launch(bad ? shuffle_at_two_places<true> : shuffle_at_two_places<false>, a); },
       with_neighbour},
      {"sum_at_two_places",
       [](bool bad, const Arena& a) { launch(bad ? sum_at_two_places<true> : sum_at_two_places<false>, a); },
       with_neighbour},
      {"shuffle_after_exit",
       [](bool bad, const Arena& a) { launch(bad ? shuffle_after_exit<true> : shuffle_after_exit<false>, a); },
       with_neighbour},
      {"shuffle_with_wrong_mask",
       [](bool bad, const Arena& a) {
         launch(bad ? shuffle_with_wrong_mask<true> : shuffle_with_wrong_mask<false>, a);
       },
       with_neighbour},
      {"barrier_at_two_places",
       [](bool bad, const Arena& a) { launch(bad ? barrier_at_two_places<true> : barrier_at_two_places<false>, a); },
       same},
      {"barrier_after_exit",
       [](bool bad, const Arena& a) { launch(bad ? barrier_after_exit<true> : barrier_after_exit<false>, a); }, same},
      {"wait_for_each_other",
       [](bool bad, const Arena& a) { launch(bad ? wait_for_each_other<true> : wait_for_each_other<false>, a); }, same},
      {"ldmatrix_misaligned",
       [](bool bad, const Arena& a) {
         gpu::launch(bad ? ldmatrix_misaligned<true> : ldmatrix_misaligned<false>, {.grid = 1, .block = kThreads},
                     nullptr, a.x_half, a.y);
       },
       [](int t) { return 2 * value(t % 16 * 8); }},
  };
}

}  // namespace fathom::bugs
