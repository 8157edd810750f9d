// BoxFilter: the mean over a window that is clipped at the borders. GuidedFilter in its fast form:
//   A = (mean(x y) - mean(x) mean(y)) / (mean(x^2) - mean(x)^2 + eps);  b = mean(y) - A mean(x)   at low resolution
//   out = up(A) X + up(b)                                                                         at full resolution
#include "chunks.cuh"
#include "kernels.hpp"
#include "resample.cuh"

namespace fathom {

namespace gpu {

struct Window {
  int h_begin, h_end, w_begin, w_end;
  __device__ Window(const Chunk& at, int radius, int h, int w)
      : h_begin(max(at.h - radius, 0)),
        h_end(min(at.h + radius + 1, h)),
        w_begin(max(at.w - radius, 0)),
        w_end(min(at.w + radius + 1, w)) {}
  __device__ float share() const { return 1 / static_cast<float>((h_end - h_begin) * (w_end - w_begin)); }
};

struct BoxMap {
  ChunkMap x, y;
  int radius;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    const Window window(at, radius, x.bytes.extent[2], x.bytes.extent[3]);
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

// A and b of one element, side by side. Variances do not change when all values move: sums run over differences from
// the middle, so that they are no small differences of large numbers.
struct GuideLow {
  static constexpr int kWidest = 1;
  ChunkMap signal, guide;
  float2* lines;  // (N, h, w, C)
  int radius;
  float eps;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    const auto& e = signal.bytes.extent;
    const Window window(at, radius, e[2], e[3]);
    const float x0 = guide.load(at.n, 0, at.h, at.w), y0 = signal.load(at.n, at.c, at.h, at.w);
    float x = 0, y = 0, xx = 0, xy = 0;
    for (int h = window.h_begin; h < window.h_end; ++h)
      for (int w = window.w_begin; w < window.w_end; ++w) {
        const float dx = guide.load(at.n, 0, h, w) - x0, dy = signal.load(at.n, at.c, h, w) - y0;
        x += dx, y += dy, xx += dx * dx, xy += dx * dy;
      }
    const float share = window.share();
    x *= share, y *= share, xx *= share, xy *= share;
    const float slope = (xy - x * y) / (xx - x * x + eps);
    lines[((static_cast<std::int64_t>(at.n) * e[2] + at.h) * e[3] + at.w) * e[1] + at.c] = {slope,
                                                                                            y0 + y - slope * (x0 + x)};
  }
};

struct GuideHigh {
  static constexpr int kWidest = 1;
  const float2* lines;
  int low_h, low_w;
  ChunkMap guide, out;
  ResizeAxis rows, columns;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    const int channels = out.bytes.extent[1];
    if (at.c >= channels) {
      out.store_chunk(at, Vec<float, 1>{});  // the padding
      return;
    }
    const Tap h = rows.at(at.h), w = columns.at(at.w);
    const auto line = [&](int i, int j) {
      return lines[((static_cast<std::int64_t>(at.n) * low_h + i) * low_w + j) * channels + at.c];
    };
    const auto row = [&](int i) {
      const float2 left = line(i, w.first), right = line(i, w.second);
      return float2{(1 - w.t) * left.x + w.t * right.x, (1 - w.t) * left.y + w.t * right.y};
    };
    const float2 above = row(h.first), below = row(h.second);
    const float a = (1 - h.t) * above.x + h.t * below.x, b = (1 - h.t) * above.y + h.t * below.y;
    out.store_chunk(at, Vec<float, 1>{a * guide.load(at.n, 0, at.h, at.w) + b});
  }
};

}  // namespace gpu

using namespace gpu;

Step prepare(const BoxFilter& op, const NodeIo& io, CudaBackend&) {
  Step step = describe(op, io);
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

Step prepare(const GuidedFilter& op, const NodeIo& io, CudaBackend&) {
  Step step = describe(op, io);
  const Operand signal = io.in[0], guide = io.in[1], full = io.in[2], out = io.out;
  const Desc& d = signal.desc;
  const Desc low = Desc::nhwc(d.n(), d.c(), d.h(), d.w());
  step.workspace_bytes = low.elements() * static_cast<std::int64_t>(sizeof(float2));
  const Resize up{.mode = ResizeMode::bilinear, .align_corners = true};
  const ResizeAxis rows(up, d.h(), out.desc.h()), columns(up, d.w(), out.desc.w());
  step.kernel = "direct sums";
  step.run = [=](const RunArgs& args) {
    const auto map = [&](const Operand& o) { return ChunkMap(o.desc, args.data[o.id], 1); };
    auto* const lines = reinterpret_cast<float2*>(args.workspace);
    launch_chunks(1, low, args.stream, GuideLow{map(signal), map(guide), lines, op.radius, op.eps});
    launch_chunks(
        1, out.desc, args.stream,
        GuideHigh{lines, static_cast<int>(low.h()), static_cast<int>(low.w()), map(full), map(out), rows, columns});
  };
  return step;
}

}  // namespace fathom
