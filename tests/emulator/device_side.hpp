// What emulated kernel code calls, below the CUDA names (cuda_names.hpp): the current thread, shared memory, barriers,
// warp operations, asynchronous copies, and the launch of a grid.
#pragma once
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>
#include <vector_functions.h>

#include <cstdint>

#include "kernels/cuda/site.cuh"

// Promises to the GPU's compiler, of no use here; CUDA's headers know some of them without nvcc, some not.
#undef __launch_bounds__
#undef __cluster_dims__
#undef __grid_constant__
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __grid_constant__

namespace fathom::emu {

using gpu::Site;

struct ThreadView {
  uint3 thread_index{}, block_index{};
  dim3 block_dim{}, grid_dim{};
};
// The thread that is running. constinit, so that reading it needs no call; never cached across OS threads, because
// fibers do not migrate.
extern constinit thread_local ThreadView* current;
unsigned current_lane();

unsigned char* dynamic_shared();
void* static_shared(const void* key, std::size_t bytes, std::size_t align, const char* name, Site site);

enum class BarrierKind { plain, all, any, count };
int barrier(BarrierKind kind, bool predicate, Site site);
void syncwarp(unsigned mask, Site site);
void fence();

// What a warp does together: `operands` holds one pointer per lane of `mask`.
using WarpFunction = void (*)(void** operands, unsigned mask);

std::uint64_t shuffle(unsigned mask, std::uint64_t value, int source_lane, const char* op, Site site);
unsigned ballot(unsigned mask, bool predicate, const char* op, Site site);
void mma_m16n8k16(float* d, const unsigned* a, const unsigned* b, const float* c, Site site);
void mma_m16n8k8(float* d, const unsigned* a, const unsigned* b, const float* c, Site site);
void mma_m16n8k8_tf32(float* d, const unsigned* a, const unsigned* b, const float* c, Site site);
void ldmatrix(unsigned* r, int matrices, const void* row, bool transposed, Site site);
void cp_async(void* shared, const void* global, int bytes, int valid_bytes, Site site);
void cp_async_commit();
void cp_async_wait(int groups_left);
void cp_async_wait_all();

// Ends the launch with ErrorKind::misaligned unless p is a multiple of `align`.
void need_aligned(const void* p, std::size_t align, const char* op, Site site);
// The same for a wide access of so many bytes, which is also counted where the configuration asks for it.
void note_access(const void* p, std::size_t bytes, const char* op, Site site);
[[noreturn]] void not_emulated(const char* op, Site site);

// A kernel and its arguments, as CUDA's graphs keep them: a function and an array of pointers to the arguments.
struct KernelCall {
  void* function = nullptr;
  void (*invoke)(void* function, void** arguments) = nullptr;
  void** arguments = nullptr;
};
struct LaunchRequest {
  dim3 grid, block;
  std::size_t dynamic_bytes;
  cudaStream_t stream;
  KernelCall call;
  const std::size_t* argument_bytes;  // one per argument, ended by 0
};
// Runs the grid, or notes it down where the stream is being captured. Throws Error if the kernel is wrong.
cudaError_t launch(const LaunchRequest& request);

}  // namespace fathom::emu
