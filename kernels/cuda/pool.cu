// The largest or the mean of each window. A thread makes a chunk of channels of one pixel (chunks.cuh); windows overlap
// in the caches. Sums run in float32.
#include "chunks.cuh"
#include "kernels.hpp"

namespace fathom {

namespace gpu {

struct PoolMap {
  ChunkMap x, y;
  int kernel_h, kernel_w, stride_h, stride_w, top, left;
  int padded_h, padded_w;  // where the padding ends, from x's first pixel
  bool largest, count_include_pad;

  template <int Width>
  __device__ void run(const Chunk& at) const {
    const int h = at.h * stride_h - top, w = at.w * stride_w - left;
    const int h_begin = max(h, 0), h_end = min(h + kernel_h, x.bytes.extent[2]);
    const int w_begin = max(w, 0), w_end = min(w + kernel_w, x.bytes.extent[3]);
    Vec<float, Width> v;
#pragma unroll
    for (int i = 0; i < Width; ++i) v[i] = largest ? -INFINITY : 0;
    for (int a = h_begin; a < h_end; ++a)
      for (int b = w_begin; b < w_end; ++b) {
        const Vec<float, Width> cell = x.load_chunk<Width>({at.n, at.c, a, b});
        if (largest) {
#pragma unroll
          for (int i = 0; i < Width; ++i) v[i] = cell[i] <= v[i] ? v[i] : cell[i];  // a NaN stays
        } else {
#pragma unroll
          for (int i = 0; i < Width; ++i) v[i] += cell[i];
        }
      }
    if (!largest) {
      const int cells = count_include_pad ? (min(h + kernel_h, padded_h) - h) * (min(w + kernel_w, padded_w) - w)
                                          : (h_end - h_begin) * (w_end - w_begin);
      const float factor = 1 / static_cast<float>(cells);
#pragma unroll
      for (int i = 0; i < Width; ++i) v[i] *= factor;
    }
    y.store_chunk(at, v);
  }
};

}  // namespace gpu

Step prepare(const Pool& op, const NodeIo& io, CudaBackend&) {
  using namespace gpu;
  Step step = describe(op, io);
  const Operand x = io.in[0], y = io.out;
  const int width = chunk_width({x.desc, y.desc});
  step.kernel = chunk_text(width);
  step.run = [=](const RunArgs& args) {
    launch_chunks(width, y.desc, args.stream,
                  PoolMap{.x = ChunkMap(x.desc, args.data[x.id], width),
                          .y = ChunkMap(y.desc, args.data[y.id], width),
                          .kernel_h = op.kernel.h,
                          .kernel_w = op.kernel.w,
                          .stride_h = op.stride.h,
                          .stride_w = op.stride.w,
                          .top = op.padding.top,
                          .left = op.padding.left,
                          .padded_h = static_cast<int>(x.desc.h()) + op.padding.bottom,
                          .padded_w = static_cast<int>(x.desc.w()) + op.padding.right,
                          .largest = op.kind == PoolKind::max,
                          .count_include_pad = op.count_include_pad});
  };
  return step;
}

}  // namespace fathom
