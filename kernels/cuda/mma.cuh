// The tensor-core instructions of a warp. A lane's registers hold fixed places of each matrix; tile.cuh names them.
// All 32 lanes must come to the same call.
#pragma once
#include "async_copy.cuh"
#include "platform.cuh"
#include "site.cuh"

namespace fathom::gpu {

#if defined(__CUDACC__)

// d = a b + c for a (16 x 8) and b (8 x 8) of fp16, c and d (16 x 8) of fp32.
__device__ inline void mma_m16n8k8(float (&d)[4], const unsigned (&a)[2], unsigned b, const float (&c)[4],
                                   Site = Site::here()) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%7,%8,%9,%10};\n"
               : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(b), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
}

// The same for a (16 x 16) and b (16 x 8); sm_75 does it in two halves.
__device__ inline void mma_m16n8k16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], const float (&c)[4],
                                    Site = Site::here()) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};\n"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
#else
  mma_m16n8k8(d, {a[0], a[1]}, b[0], c);
  mma_m16n8k8(d, {a[2], a[3]}, b[1], d);
#endif
}

// The same for a (16 x 8) and b (8 x 8) of tf32, as to_tf32 makes it. Not on sm_75: callers choose another kernel
// there.
__device__ inline void mma_m16n8k8_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                                        const float (&c)[4], Site = Site::here()) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};\n"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
#else
  __trap();
#endif
}

// To the nearest number with ten bits after the point, ties away from zero.
__device__ inline unsigned to_tf32(float x) {
#if __CUDA_ARCH__ >= 800
  unsigned bits;
  asm("cvt.rna.tf32.f32 %0, %1;\n" : "=r"(bits) : "f"(x));
  return bits;
#else
  return (__float_as_uint(x) + 0x1000u) & ~0x1FFFu;
#endif
}

// Matrices of 8 x 8 halves from shared memory, one register each. Lane 8 i + j brings the address of row j of matrix i,
// aligned to 16 bytes; with fewer than four matrices the other lanes too must bring a valid one (sm_75 wants it).
__device__ inline void ldmatrix(unsigned (&r)[1], const void* row, Site = Site::here()) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];\n"
               : "=r"(r[0])
               : "r"(shared_address(row))
               : "memory");
}
__device__ inline void ldmatrix(unsigned (&r)[2], const void* row, Site = Site::here()) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];\n"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}
__device__ inline void ldmatrix(unsigned (&r)[4], const void* row, Site = Site::here()) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
// Each matrix transposed on the way.
__device__ inline void ldmatrix_transposed(unsigned (&r)[1], const void* row, Site = Site::here()) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];\n"
               : "=r"(r[0])
               : "r"(shared_address(row))
               : "memory");
}
__device__ inline void ldmatrix_transposed(unsigned (&r)[2], const void* row, Site = Site::here()) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];\n"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}
__device__ inline void ldmatrix_transposed(unsigned (&r)[4], const void* row, Site = Site::here()) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

#else

inline void mma_m16n8k8(float (&d)[4], const unsigned (&a)[2], unsigned b, const float (&c)[4],
                        Site site = Site::here()) {
  emu::mma_m16n8k8(d, a, &b, c, site);
}
inline void mma_m16n8k16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], const float (&c)[4],
                         Site site = Site::here()) {
  emu::mma_m16n8k16(d, a, b, c, site);
}
inline void mma_m16n8k8_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], const float (&c)[4],
                             Site site = Site::here()) {
  emu::mma_m16n8k8_tf32(d, a, b, c, site);
}
inline unsigned to_tf32(float x) { return (__float_as_uint(x) + 0x1000u) & ~0x1FFFu; }
template <int Matrices>
inline void ldmatrix(unsigned (&r)[Matrices], const void* row, Site site = Site::here()) {
  static_assert(Matrices == 1 || Matrices == 2 || Matrices == 4);
  emu::ldmatrix(r, Matrices, row, false, site);
}
template <int Matrices>
inline void ldmatrix_transposed(unsigned (&r)[Matrices], const void* row, Site site = Site::here()) {
  static_assert(Matrices == 1 || Matrices == 2 || Matrices == 4);
  emu::ldmatrix(r, Matrices, row, true, site);
}

#endif

}  // namespace fathom::gpu
