// The largest or the mean of each window. A thread makes a chunk of channels (chunks.cuh) of one pixel, or of four
// below each other whose windows share rows. Windows side by side overlap in the caches. Sums run in float32. What
// comes out goes through act(weight[c] x + bias[c]).
#include "chunks.cuh"
#include "constants.hpp"
#include "kernels.hpp"

namespace fathom {

namespace gpu {

// v = max(v, x); a NaN stays
template <int Width>
__device__ inline void raise(Vec<float, Width>& v, const Vec<float, Width>& x) {
#pragma unroll
  for (int i = 0; i < Width; ++i) v[i] = larger(v[i], x[i]);
}

template <int Width>
__device__ inline Vec<float, Width> filled(float value) {
  Vec<float, Width> v;
#pragma unroll
  for (int i = 0; i < Width; ++i) v[i] = value;
  return v;
}

struct PoolEnd {
  const float *weight = nullptr, *bias = nullptr;  // (C and its padding); null: none
  Activation f;

  template <int Width>
  __device__ void store(const ChunkMap& y, const Chunk& at, Vec<float, Width> v) const {
    if (weight) {
      const Vec<float, Width> a = load_vec_readonly<Width>(weight + at.c), b = load_vec_readonly<Width>(bias + at.c);
#pragma unroll
      for (int i = 0; i < Width; ++i) v[i] = a[i] * v[i] + b[i];
    }
    y.store_chunk(at, apply(f, v));
  }
};

struct PoolMap {
  ChunkMap x, y;
  PoolEnd end;
  int kernel_h, kernel_w, stride_h, stride_w, top, left;
  int padded_h, padded_w;  // where the padding ends, from x's first pixel
  bool largest, count_include_pad;

  template <int Width>
  __device__ void run(const Chunk& at) const {
    const int h = at.h * stride_h - top, w = at.w * stride_w - left;
    const int h_begin = max(h, 0), h_end = min(h + kernel_h, x.bytes.extent[2]);
    const int w_begin = max(w, 0), w_end = min(w + kernel_w, x.bytes.extent[3]);
    Vec<float, Width> v = filled<Width>(largest ? -INFINITY : 0.0f);
    for (int a = h_begin; a < h_end; ++a)
      for (int b = w_begin; b < w_end; ++b) {
        const Vec<float, Width> cell = x.load_chunk<Width>({at.n, at.c, a, b});
        if (largest) {
          raise(v, cell);
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
    end.store(y, at, v);
  }
};

// The largest of K x K windows that are S apart, for kColumn rows of y; at.h counts such groups. Each row of the window
// is read once.
inline constexpr int kColumn = 4;
template <int K, int S>
struct MaxColumn {
  static constexpr int kBlocks = 3;
  ChunkMap x, y;
  PoolEnd end;
  int top, left;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    const int h = at.h * kColumn * S - top, w = at.w * S - left;
    Vec<float, Width> v[kColumn];
#pragma unroll
    for (int r = 0; r < kColumn; ++r) v[r] = filled<Width>(-INFINITY);
#pragma unroll
    for (int a = 0; a < (kColumn - 1) * S + K; ++a) {
      if (h + a < 0 || h + a >= x.bytes.extent[2]) continue;
      Vec<float, Width> row = filled<Width>(-INFINITY);
#pragma unroll
      for (int b = 0; b < K; ++b)
        if (w + b >= 0 && w + b < x.bytes.extent[3]) raise(row, x.load_chunk<Width>({at.n, at.c, h + a, w + b}));
#pragma unroll
      for (int r = 0; r < kColumn; ++r)
        if (a >= r * S && a < r * S + K) raise(v[r], row);
    }
#pragma unroll
    for (int r = 0; r < kColumn; ++r)
      if (at.h * kColumn + r < y.bytes.extent[2]) end.store(y, {at.n, at.c, at.h * kColumn + r, at.w}, v[r]);
  }
};

}  // namespace gpu

namespace {

using namespace gpu;

// Empty, or why a thread makes one pixel only.
std::string refuse_columns(const Pool& op, const Desc& y, int width, const GpuInfo& gpu) {
  if (op.kind != PoolKind::max) return "it is for maxima";
  const bool known =
      (op.kernel == Size2(3) && op.stride == Size2(2)) || (op.kernel == Size2(5) && op.stride == Size2(1));
  if (!known) return "it is for windows of 3, 2 apart, and of 5, 1 apart";
  const std::int64_t threads = y.n() * y.h() * y.w() * stored_channels(y) / width / kColumn;
  const std::int64_t enough = std::int64_t{gpu.multiprocessors} * 2 * kChunkThreads;
  if (threads < enough) return "the map is too small to fill the GPU with a quarter of the threads";
  return "";
}

}  // namespace

Step prepare(const Pool& op, const NodeIo& io, CudaBackend& backend) {
  Step step = begin(op, io);
  const Operand x = io.in[0], y = io.out;
  const int width = chunk_width({x.desc, y.desc});
  const auto weight = op.affine ? packed_channels(backend, io.in[1]) : nullptr,
             bias = op.affine ? packed_channels(backend, io.in[2]) : nullptr;
  if (const std::string why = refuse_columns(op, y.desc, width, backend.gpu()); why.empty()) {
    step.kernel = "four pixels a thread, " + chunk_text(width);
    Desc groups = y.desc;
    groups.extent[2] = (y.desc.h() + kColumn - 1) / kColumn;
    step.run = [=](const RunArgs& args) {
      const ChunkMap from(x.desc, args.data[x.id], width), to(y.desc, args.data[y.id], width);
      const PoolEnd end{weight.get(), bias.get(), op.activation};
      if (op.kernel.h == 3)
        launch_chunks(width, groups, args.stream, MaxColumn<3, 2>{from, to, end, op.padding.top, op.padding.left});
      else
        launch_chunks(width, groups, args.stream, MaxColumn<5, 1>{from, to, end, op.padding.top, op.padding.left});
    };
    return step;
  } else {
    step.refused = {"four pixels a thread: " + why};
  }
  step.kernel = chunk_text(width);
  step.run = [=](const RunArgs& args) {
    launch_chunks(width, y.desc, args.stream,
                  PoolMap{.x = ChunkMap(x.desc, args.data[x.id], width),
                          .y = ChunkMap(y.desc, args.data[y.id], width),
                          .end = {weight.get(), bias.get(), op.activation},
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
