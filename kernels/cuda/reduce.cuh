// Sums and maxima over a warp, a block and a grid. Always in the same order: the same input gives the same bits.
#pragma once
#include "platform.cuh"
#include "site.cuh"

namespace fathom::gpu {

inline constexpr unsigned kAllLanes = 0xFFFFFFFFu;
inline constexpr int kWarpSize = 32;

__device__ inline int lane_id() { return static_cast<int>(threadIdx.x % kWarpSize); }
__device__ inline int warp_id() { return static_cast<int>(threadIdx.x / kWarpSize); }

// The value of the lane whose number differs in `bits`.
template <class T>
__device__ inline T shuffle_xor(T value, int bits, [[maybe_unused]] Site site = Site::here()) {
#if defined(__CUDACC__)
  return __shfl_xor_sync(kAllLanes, value, bits);
#else
  return __shfl_xor_sync(kAllLanes, value, bits, kWarpSize, site);
#endif
}

// Combines `Width` neighbouring lanes (all 32 by default); each of them receives the result.
template <int Width = kWarpSize, class T, class Combine>
__device__ inline T warp_reduce(T value, Combine combine, Site site = Site::here()) {
  static_assert(Width >= 1 && Width <= kWarpSize && (Width & (Width - 1)) == 0);
#pragma unroll
  for (int bits = Width / 2; bits > 0; bits /= 2) value = combine(value, shuffle_xor(value, bits, site));
  return value;
}

template <int Width = kWarpSize>
__device__ inline float warp_sum(float value, Site site = Site::here()) {
  return warp_reduce<Width>(
      value, [](float a, float b) { return a + b; }, site);
}
template <int Width = kWarpSize>
__device__ inline float warp_max(float value, Site site = Site::here()) {
  return warp_reduce<Width>(
      value, [](float a, float b) { return a > b ? a : b; }, site);
}

// The sum over a one-dimensional block of Threads threads, given to all of them. A barrier stands at its start, so that
// it may be called in a loop.
template <int Threads>
__device__ inline float block_sum(float value, Site site = Site::here()) {
  static_assert(Threads % kWarpSize == 0);
  constexpr int kWarps = Threads / kWarpSize;
  GPU_SHARED(float, partial, [kWarps]);
  value = warp_sum(value, site);
  __syncthreads();
  if (lane_id() == 0) partial[warp_id()] = value;
  __syncthreads();
  float sum = 0;
#pragma unroll
  for (int warp = 0; warp < kWarps; ++warp) sum += partial[warp];
  return sum;
}

// True in all threads of the one block that comes here last of `blocks`, which then sees what the others wrote before.
// The counter starts at zero and is zero again afterwards. Every thread of every block must call it.
__device__ inline bool last_block(unsigned* counter, unsigned blocks) {
  GPU_SHARED(unsigned, arrived, [1]);
  __threadfence();  // what this thread wrote, before the block counts as arrived
  __syncthreads();
  if (threadIdx.x == 0 && threadIdx.y == 0 && threadIdx.z == 0) arrived[0] = atomicInc(counter, blocks - 1);
  __syncthreads();
  __threadfence();  // and what the others wrote, before this thread reads it
  return arrived[0] == blocks - 1;
}

}  // namespace fathom::gpu
