// BoxFilter: the mean over a window that is clipped at the borders. GuidedFilter in its fast form:
//   A = (mean(x y) - mean(x) mean(y)) / (mean(x^2) - mean(x)^2 + eps);  b = mean(y) - A mean(x)   at low resolution
//   out = up(A) X + up(b)                                                                         at full resolution
// All in float32. Variances do not change when all values move: sums run over differences from a value in the middle,
// so that they are no small differences of large numbers.
#include "chunks.cuh"
#include "kernels.hpp"
#include "resample.cuh"

namespace fathom {

namespace gpu {

struct Window {
  int h_begin, h_end, w_begin, w_end;
  __device__ Window(int h, int w, int radius, const int (&extent)[4])
      : h_begin(max(h - radius, 0)),
        h_end(min(h + radius + 1, extent[2])),
        w_begin(max(w - radius, 0)),
        w_end(min(w + radius + 1, extent[3])) {}
  __device__ float share() const { return 1 / static_cast<float>((h_end - h_begin) * (w_end - w_begin)); }
};

struct BoxMap {
  ChunkMap x, y;
  int radius;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    const Window window(at.h, at.w, radius, x.bytes.extent);
    Vec<float, Width> sum{};
    for (int h = window.h_begin; h < window.h_end; ++h)
      for (int w = window.w_begin; w < window.w_end; ++w) {
        const Vec<float, Width> cell = x.load_chunk<Width>({at.n, at.c, h, w});
#pragma unroll
        for (int i = 0; i < Width; ++i) sum[i] += cell[i];
      }
#pragma unroll
    for (int i = 0; i < Width; ++i) sum[i] *= window.share();
    y.store_chunk(at, sum);
  }
};

// Sums over a window of x, y, x^2 and x y, x and y counted from some middle.
struct Moments {
  float x = 0, y = 0, xx = 0, xy = 0;
  __device__ void add(float dx, float dy) { x += dx, y += dy, xx += dx * dx, xy += dx * dy; }
  __device__ void add(const Moments& m) { x += m.x, y += m.y, xx += m.xx, xy += m.xy; }
};

// The lines y = A x + b of a guided filter, one for each element of the signal.
struct GuideLow {
  static constexpr int kWidest = 1;
  AnyMap signal, guide;
  float2* lines;  // (N, h, w, C): A, b
  int radius;
  float eps;
  Divisor channels, tile_row;  // of the signal, of a tile with its margins

  __device__ void store(const Chunk& at, const Moments& sum, float share, float x0, float y0) const {
    const float x = sum.x * share, y = sum.y * share;
    const float a = (sum.xy * share - x * y) / (sum.xx * share - x * x + eps);
    const auto& e = signal.bytes.extent;
    lines[((static_cast<std::int64_t>(at.n) * e[2] + at.h) * e[3] + at.w) * e[1] + at.c] = {a, y0 + y - a * (x0 + x)};
  }
  // Of one element, straight from the formula.
  template <int Width>
  __device__ void run(const Chunk& at) const {
    const Window window(at.h, at.w, radius, signal.bytes.extent);
    const float x0 = guide.load(at.n, 0, at.h, at.w), y0 = signal.load(at.n, at.c, at.h, at.w);
    Moments sum;
    for (int h = window.h_begin; h < window.h_end; ++h)
      for (int w = window.w_begin; w < window.w_end; ++w)
        sum.add(guide.load(at.n, 0, h, w) - x0, signal.load(at.n, at.c, h, w) - y0);
    store(at, sum, window.share(), x0, y0);
  }
};

// A block makes the lines of a tile of one channel: sums along rows, then along columns, both in shared memory. What
// lies outside the map counts as zero there, and not at all in the window's size.
inline constexpr int kTileRows = 8, kTileColumns = 32, kTileThreads = kTileRows * kTileColumns;
inline int tile_bytes(int radius) {
  return (kTileRows + 2 * radius) * ((kTileColumns + 2 * radius) * static_cast<int>(sizeof(float2)) +
                                     kTileColumns * static_cast<int>(sizeof(Moments)));
}

// grid (tiles along a row, rows of tiles, images and channels)
__global__ void __launch_bounds__(kTileThreads) guide_tile_kernel(const __grid_constant__ GuideLow f) {
  GPU_DYNAMIC_SHARED(bytes);
  const auto& e = f.signal.bytes.extent;
  const int radius = f.radius, columns = kTileColumns + 2 * radius, rows = kTileRows + 2 * radius;
  float2* const cells = reinterpret_cast<float2*>(bytes);                    // (rows, columns): x, y
  Moments* const sums = reinterpret_cast<Moments*>(cells + rows * columns);  // (rows, kTileColumns): along rows
  const int n = f.channels.quotient(static_cast<int>(blockIdx.z));
  const int c = static_cast<int>(blockIdx.z) - n * f.channels.divisor, own = static_cast<int>(threadIdx.x);
  const int first_h = static_cast<int>(blockIdx.y) * kTileRows, first_w = static_cast<int>(blockIdx.x) * kTileColumns;
  const int middle_h = min(first_h + kTileRows / 2, e[2] - 1), middle_w = min(first_w + kTileColumns / 2, e[3] - 1);
  const float x0 = f.guide.load(n, 0, middle_h, middle_w), y0 = f.signal.load(n, c, middle_h, middle_w);

  for (int k = own; k < rows * columns; k += kTileThreads) {
    const int i = f.tile_row.quotient(k), h = first_h - radius + i, w = first_w - radius + k - i * columns;
    const bool inside = h >= 0 && h < e[2] && w >= 0 && w < e[3];
    cells[k] = inside ? float2{f.guide.load(n, 0, h, w) - x0, f.signal.load(n, c, h, w) - y0} : float2{0, 0};
  }
  __syncthreads();
  for (int k = own; k < rows * kTileColumns; k += kTileThreads) {
    const float2* const cell = cells + k / kTileColumns * columns + k % kTileColumns;
    Moments sum;
    for (int j = 0; j <= 2 * radius; ++j) sum.add(cell[j].x, cell[j].y);
    sums[k] = sum;
  }
  __syncthreads();
  const int h = first_h + own / kTileColumns, w = first_w + own % kTileColumns;
  if (h >= e[2] || w >= e[3]) return;
  Moments sum;
  for (int i = 0; i <= 2 * radius; ++i) sum.add(sums[own + i * kTileColumns]);
  f.store({n, c, h, w}, sum, Window(h, w, radius, e).share(), x0, y0);
}

// The lines at full resolution.
struct EnlargedLines {
  const float2* lines;
  int low_h, low_w, channels;
  ResizeAxis rows, columns;
  __device__ float2 at(int n, int c, const Tap& h, const Tap& w) const {
    const auto line = [&](int i, int j) {
      return lines[((static_cast<std::int64_t>(n) * low_h + i) * low_w + j) * channels + c];
    };
    const auto blend = [](const float2& a, const float2& b, float t) {
      return float2{(1 - t) * a.x + t * b.x, (1 - t) * a.y + t * b.y};
    };
    return blend(blend(line(h.first, w.first), line(h.first, w.second), w.t),
                 blend(line(h.second, w.first), line(h.second, w.second), w.t), h.t);
  }
};

struct GuideHigh {
  static constexpr int kWidest = 1;
  EnlargedLines lines;
  ChunkMap guide, out;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    Vec<float, 1> v{};  // the padding
    if (at.c < out.bytes.extent[1]) {
      const float2 line = lines.at(at.n, at.c, lines.rows.at(at.h), lines.columns.at(at.w));
      v[0] = line.x * guide.load(at.n, 0, at.h, at.w) + line.y;
    }
    out.store_chunk(at, v);
  }
};

// The same on maps of one channel; the columns of guide and out are their channels.
struct GuideRow {
  static constexpr int kNarrowest = 4, kWidest = 4;
  EnlargedLines lines;
  ChunkMap guide, out;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    const Tap h = lines.rows.at(at.h);
    Vec<float, Width> v = guide.load_chunk<Width>(at);
#pragma unroll
    for (int i = 0; i < Width; ++i) {
      const float2 line = lines.at(at.n, 0, h, lines.columns.at(at.c + i));
      v[i] = line.x * v[i] + line.y;
    }
    out.store_chunk(at, v);
  }
};

}  // namespace gpu

using namespace gpu;

Step prepare(const BoxFilter& op, const NodeIo& io, CudaBackend&) {
  Step step = begin(op, io);
  const Operand x = io.in[0], y = io.out;
  const int width = chunk_width({x.desc, y.desc});
  step.kernel = "direct sums, " + chunk_text(width);
  step.run = [=](const RunArgs& args) {
    launch_chunks(
        width, y.desc, args.stream,
        BoxMap{ChunkMap(x.desc, args.data[x.id], width), ChunkMap(y.desc, args.data[y.id], width), op.radius});
  };
  return step;
}

Step prepare(const GuidedFilter& op, const NodeIo& io, CudaBackend& backend) {
  Step step = begin(op, io);
  const Operand signal = io.in[0], guide = io.in[1], full = io.in[2], out = io.out;
  const Desc& d = signal.desc;
  const Desc low = Desc::nhwc(d.n(), d.c(), d.h(), d.w());
  step.workspace_bytes = low.elements() * static_cast<std::int64_t>(sizeof(float2));
  step.launches = 2;
  const Resize up{.mode = ResizeMode::bilinear, .align_corners = true};
  const ResizeAxis rows(up, d.h(), out.desc.h()), columns(up, d.w(), out.desc.w());

  const bool tiles = tile_bytes(op.radius) <= backend.gpu().shared_bytes && low.n() * low.c() < 65536;
  const bool in_rows =
      has_rows(full.desc) && has_rows(out.desc) && is_wide(as_rows(full.desc), 4) && is_wide(as_rows(out.desc), 4);
  step.kernel =
      std::string(tiles ? "tiles in shared memory" : "direct sums") + (in_rows ? ", 4 pixels of a row a thread" : "");
  if (!tiles) step.refused = {"tiles in shared memory: the window or the number of maps is too large"};
  const LaunchShape shape{.grid = dim3(static_cast<unsigned>((low.w() + kTileColumns - 1) / kTileColumns),
                                       static_cast<unsigned>((low.h() + kTileRows - 1) / kTileRows),
                                       static_cast<unsigned>(low.n() * low.c())),
                          .block = dim3(kTileThreads),
                          .shared_bytes = static_cast<std::size_t>(tile_bytes(op.radius))};
  step.run = [=](const RunArgs& args) {
    const auto map = [&](const Operand& o) { return ChunkMap(o.desc, args.data[o.id], 1); };
    auto* const lines = reinterpret_cast<float2*>(args.workspace);
    const GuideLow f{map(signal),
                     map(guide),
                     lines,
                     op.radius,
                     op.eps,
                     Divisor(static_cast<int>(low.c())),
                     Divisor(kTileColumns + 2 * op.radius)};
    if (tiles)
      launch(guide_tile_kernel, shape, static_cast<cudaStream_t>(args.stream), f);
    else
      launch_chunks(1, low, args.stream, f);
    const EnlargedLines large{
        lines, static_cast<int>(low.h()), static_cast<int>(low.w()), static_cast<int>(low.c()), rows, columns};
    if (in_rows) {
      const Desc from = as_rows(full.desc), to = as_rows(out.desc);
      launch_chunks(4, to, args.stream,
                    GuideRow{large, ChunkMap(from, args.data[full.id], 4), ChunkMap(to, args.data[out.id], 4)});
    } else {
      launch_chunks(1, out.desc, args.stream, GuideHigh{large, map(full), map(out)});
    }
  };
  return step;
}

}  // namespace fathom
