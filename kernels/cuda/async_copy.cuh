// cp.async: copies from global to shared memory that run beside the computation. Between issue and wait the destination
// must not be touched; after the wait only the issuing thread may read it, the others after a barrier.
// sm_75 has no such copies: there they are plain ones, done at once.
#pragma once
#include <cstdint>

#include "platform.cuh"
#include "site.cuh"

namespace fathom::gpu {

#if defined(__CUDACC__)

__device__ inline unsigned shared_address(const void* p) { return static_cast<unsigned>(__cvta_generic_to_shared(p)); }

// Copies `valid_bytes` bytes and fills up with zeros to Bytes (16, 8 or 4), to which both addresses are aligned.
// With valid_bytes 0 the source is not read, but it must still be a pointer to global memory.
template <int Bytes>
__device__ inline void cp_async(void* shared, const void* global, int valid_bytes = Bytes, Site = Site::here()) {
  static_assert(Bytes == 16 || Bytes == 8 || Bytes == 4);
#if __CUDA_ARCH__ >= 800
  if constexpr (Bytes == 16) {  // .cg: past the L1 cache, which would keep what is used once
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared_address(shared)),
                 "l"(__cvta_generic_to_global(global)), "r"(valid_bytes)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;\n" ::"r"(shared_address(shared)),
                 "l"(__cvta_generic_to_global(global)), "n"(Bytes), "r"(valid_bytes)
                 : "memory");
  }
#else
  unsigned words[Bytes / 4] = {};
  if (valid_bytes == Bytes) {
    for (int i = 0; i < Bytes / 4; ++i) words[i] = static_cast<const unsigned*>(global)[i];
  } else {
    for (int i = 0; i < valid_bytes; ++i) {
      words[i / 4] |= static_cast<unsigned>(static_cast<const unsigned char*>(global)[i]) << i % 4 * 8;
    }
  }
  if constexpr (Bytes == 16) *static_cast<uint4*>(shared) = make_uint4(words[0], words[1], words[2], words[3]);
  if constexpr (Bytes == 8) *static_cast<uint2*>(shared) = make_uint2(words[0], words[1]);
  if constexpr (Bytes == 4) *static_cast<unsigned*>(shared) = words[0];
#endif
}

// Copies Bytes bytes, or, where `sign` is less than 0, writes zeros: then the source is not read, and may be anywhere that is aligned.
// This is one bit of the instruction, where a number of valid bytes takes five instructions more.
template <int Bytes>
__device__ inline void cp_async_or_zeros(void* shared, const void* global, int sign, Site = Site::here()) {
  static_assert(Bytes == 16 || Bytes == 8 || Bytes == 4);
#if __CUDA_ARCH__ >= 800
  if constexpr (Bytes == 16) {
    asm volatile(
        "{ .reg .pred zeros; setp.lt.s32 zeros, %2, 0; cp.async.cg.shared.global [%0], [%1], 16, zeros; }\n" ::"r"(
            shared_address(shared)),
        "l"(__cvta_generic_to_global(global)), "r"(sign)
        : "memory");
  } else {
    asm volatile(
        "{ .reg .pred zeros; setp.lt.s32 zeros, %3, 0; cp.async.ca.shared.global [%0], [%1], %2, zeros; }\n" ::"r"(
            shared_address(shared)),
        "l"(__cvta_generic_to_global(global)), "n"(Bytes), "r"(sign)
        : "memory");
  }
#else
  cp_async<Bytes>(shared, global, sign < 0 ? 0 : Bytes);
#endif
}

// Closes the group of all copies issued since the last one; a group may be empty.
__device__ inline void cp_async_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;\n" ::: "memory");
#endif
}

// Waits until at most Left of this thread's groups, the youngest ones, are still under way.
template <int Left>
__device__ inline void cp_async_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;\n" ::"n"(Left) : "memory");
#endif
}

// Waits for all of this thread's copies, committed or not.
__device__ inline void cp_async_wait_all() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;\n" ::: "memory");
#endif
}

#else

template <int Bytes>
inline void cp_async(void* shared, const void* global, int valid_bytes = Bytes, Site site = Site::here()) {
  static_assert(Bytes == 16 || Bytes == 8 || Bytes == 4);
  emu::cp_async(shared, global, Bytes, valid_bytes, site);
}
template <int Bytes>
inline void cp_async_or_zeros(void* shared, const void* global, int sign, Site site = Site::here()) {
  cp_async<Bytes>(shared, global, sign < 0 ? 0 : Bytes, site);
}
inline void cp_async_commit() { emu::cp_async_commit(); }
template <int Left>
inline void cp_async_wait() {
  emu::cp_async_wait(Left);
}
inline void cp_async_wait_all() { emu::cp_async_wait_all(); }

#endif

}  // namespace fathom::gpu
