// Which of the two compiles this: nvcc for the GPU, or a host compiler for the emulator. And shared memory, the one
// thing of CUDA's that needs a macro.
#pragma once

#if defined(__CUDACC__)

#include <cuda_fp16.h>
#include <cuda_runtime.h>

// A shared array: GPU_SHARED(float, tile, [64][33]);
#define GPU_SHARED(type, name, ...) __shared__ type name __VA_ARGS__
// The launch's dynamic shared memory as bytes, aligned for every swizzle: GPU_DYNAMIC_SHARED(bytes);
#define GPU_DYNAMIC_SHARED(name) extern __shared__ __align__(1024) unsigned char name[]

namespace fathom::gpu {
// A value that stays in its register: the compiler may not work it out anew where it is used, as it likes to in loops.
__device__ inline int kept(int x) {
  asm volatile("" : "+r"(x));
  return x;
}
template <class T>
__device__ inline T* kept(T* p) {
  asm volatile("" : "+l"(p));
  return p;
}
}  // namespace fathom::gpu

#else

#include "tests/emulator/cuda_names.hpp"

#define GPU_SHARED(type, name, ...)                                      \
  static char name##_key;                                                \
  typedef type name##_array __VA_ARGS__;                                 \
  auto& name = *static_cast<name##_array*>(::fathom::emu::static_shared( \
      &name##_key, sizeof(name##_array), alignof(name##_array), #name, ::fathom::gpu::Site::here()))
#define GPU_DYNAMIC_SHARED(name) unsigned char* const name = ::fathom::emu::dynamic_shared()

namespace fathom::gpu {
inline int kept(int x) { return x; }
template <class T>
T* kept(T* p) {
  return p;
}
}  // namespace fathom::gpu

#endif
