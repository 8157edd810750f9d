// y(n, c, h, w) = x where (h, w) falls: nearest or bilinear. A thread makes a chunk of channels of one pixel
// (chunks.cuh), or neighbours of a row of a one-channel map, and interpolates in float32, along rows first.
#include "chunks.cuh"
#include "kernels.hpp"
#include "resample.cuh"

namespace fathom {

namespace gpu {

template <int Width>
__device__ inline Vec<float, Width> blend(const Vec<float, Width>& a, const Vec<float, Width>& b, float t) {
  Vec<float, Width> v;
#pragma unroll
  for (int i = 0; i < Width; ++i) v[i] = (1 - t) * a[i] + t * b[i];
  return v;
}

struct NearestMap {
  ChunkMap x, y;
  ResizeAxis rows, columns;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    y.store_chunk(at, x.load_chunk<Width>({at.n, at.c, rows.nearest_at(at.h), columns.nearest_at(at.w)}));
  }
};

struct BilinearMap {
  ChunkMap x, y;
  ResizeAxis rows, columns;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    const Tap h = rows.at(at.h), w = columns.at(at.w);
    const auto row = [&](int i) {
      const Vec<float, Width> left = x.load_chunk<Width>({at.n, at.c, i, w.first});
      return w.t == 0 ? left : blend(left, x.load_chunk<Width>({at.n, at.c, i, w.second}), w.t);
    };
    const Vec<float, Width> above = row(h.first);
    y.store_chunk(at, h.t == 0 ? above : blend(above, row(h.second), h.t));
  }
};

// The same on maps of one channel; y's columns are its channels.
struct NearestRow {
  static constexpr int kNarrowest = 4, kWidest = 4;
  ChunkMap x, y;
  ResizeAxis rows, columns;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    const int h = rows.nearest_at(at.h);
    Vec<float, Width> v;
#pragma unroll
    for (int i = 0; i < Width; ++i) v[i] = x.load(at.n, 0, h, columns.nearest_at(at.c + i));
    y.store_chunk(at, v);
  }
};

struct BilinearRow {
  static constexpr int kNarrowest = 4, kWidest = 4;
  ChunkMap x, y;
  ResizeAxis rows, columns;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    const Tap h = rows.at(at.h);
    Vec<float, Width> above, below;
#pragma unroll
    for (int i = 0; i < Width; ++i) {
      const Tap w = columns.at(at.c + i);
      const auto row = [&](int j) {
        const float left = x.load(at.n, 0, j, w.first);
        return w.t == 0 ? left : (1 - w.t) * left + w.t * x.load(at.n, 0, j, w.second);
      };
      above[i] = row(h.first);
      below[i] = h.t == 0 ? above[i] : row(h.second);
    }
    y.store_chunk(at, h.t == 0 ? above : blend(above, below, h.t));
  }
};

}  // namespace gpu

Step prepare(const Resize& op, const NodeIo& io, CudaBackend&) {
  using namespace gpu;
  Step step = begin(op, io);
  const Operand x = io.in[0], y = io.out;
  const ResizeAxis rows(op, x.desc.h(), y.desc.h()), columns(op, x.desc.w(), y.desc.w());
  const bool bilinear = op.mode == ResizeMode::bilinear;
  const std::string name = bilinear ? "bilinear, " : "nearest, ";
  if (x.desc.dtype == DType::f32 && has_rows(y.desc) && is_wide(as_rows(y.desc), 4)) {
    const Desc whole = as_rows(y.desc);
    step.kernel = name + "4 pixels of a row a thread";
    step.run = [=](const RunArgs& args) {
      const ChunkMap from(x.desc, args.data[x.id], 1), to(whole, args.data[y.id], 4);
      if (bilinear)
        launch_chunks(4, whole, args.stream, BilinearRow{from, to, rows, columns});
      else
        launch_chunks(4, whole, args.stream, NearestRow{from, to, rows, columns});
    };
    return step;
  }
  const int width = chunk_width({x.desc, y.desc});
  step.kernel = name + chunk_text(width);
  step.run = [=](const RunArgs& args) {
    const ChunkMap from(x.desc, args.data[x.id], width), to(y.desc, args.data[y.id], width);
    if (bilinear)
      launch_chunks(width, y.desc, args.stream, BilinearMap{from, to, rows, columns});
    else
      launch_chunks(width, y.desc, args.stream, NearestMap{from, to, rows, columns});
  };
  return step;
}

}  // namespace fathom
