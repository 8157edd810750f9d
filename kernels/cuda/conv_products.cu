// A convolution of an enlarged map by products at the map's own size (passes/lower_products.cpp):
//   y(n, o, i, j) = act(bias(o) + sum over taps (a, b) of up(P_ab)(n, o, i + a - top, j + b - left) + residual)
//   P_ab = W_ab x, one 1x1 convolution for all taps;  up(P) is zero outside the enlarged map
// In strips of rows, so that the products of one strip stay in the cache: a 1x1 convolution, which is any choice of
// Conv2d, into the workspace, then this kernel. A thread sums Width neighbouring channels of one pixel in float32, tap
// by tap.
#include "chunks.cuh"
#include "conv.cuh"

namespace fathom::gpu {

namespace {

struct SumProducts {
  ChunkMap products;  // (N, taps O, rows of the strip, w), channel tap O + o
  ChunkMap residual, y;
  bool has_residual = false;
  Axis rows, columns;  // of the enlarged map
  int first_low = 0;   // row of x that the strip's products begin at
  int first_row = 0;   // of the outputs
  int outputs = 1;     // O
  int kh = 1, kw = 1, top = 0, left = 0;
  const float* bias = nullptr;  // filled up to whole chunks
  Activation f;

  template <int Width>
  __device__ void run(const Chunk& at) const {
    const int i = first_row + at.h;
    Vec<float, Width> sum = load_vec_readonly<Width>(bias + at.c);
    for (int a = 0; a < kh; ++a) {
      const Place row = rows.place(i + a - top);
      if (row.low < 0) continue;
      for (int b = 0; b < kw; ++b) {
        const Place column = columns.place(at.w + b - left);
        if (column.low < 0) continue;
        const int c = (a * kw + b) * outputs + at.c;
        const auto weigh = [&](int h, int w, float t) {
          if (t == 0) return;
          const Vec<float, Width> v = products.load_chunk<Width>({at.n, c, h - first_low, w});
#pragma unroll
          for (int k = 0; k < Width; ++k) sum[k] += t * v[k];
        };
        weigh(row.low, column.low, (1 - row.t) * (1 - column.t)), weigh(row.low, column.high, (1 - row.t) * column.t);
        weigh(row.high, column.low, row.t * (1 - column.t)), weigh(row.high, column.high, row.t * column.t);
      }
    }
    if (has_residual) {
      const Vec<float, Width> v = residual.load_chunk<Width>({at.n, at.c, i, at.w});
#pragma unroll
      for (int k = 0; k < Width; ++k) sum[k] += v[k];
    }
    y.store_chunk({at.n, at.c, i, at.w}, apply(f, sum));
  }
};

// The rows of x that output rows [begin, end) see: [first, last].
struct LowRows {
  int first, last;
};
LowRows low_rows(const Axis& axis, int begin, int end, int kernel, int top) {
  // As ResizeAxis::at has it, on the host.
  const auto low = [&](int i) {
    const std::int64_t in = axis.in, out = axis.out;
    if (axis.align_corners) return out > 1 ? static_cast<int>(i * (in - 1) / (out - 1)) : 0;
    return static_cast<int>(std::max<std::int64_t>((2 * std::int64_t{i} + 1) * in - out, 0) / (2 * out));
  };
  const int from = std::clamp(begin - top, 0, axis.out - 1),
            to = std::clamp(end - 1 + kernel - 1 - top, 0, axis.out - 1);
  return {std::min(low(from), axis.in - 1), std::min(low(to) + 1, axis.in - 1)};
}

// How the outputs are cut: strips of so many rows, each from so many rows of x.
struct Strips {
  int rows = 1, low = 1;
};
Strips cut(const ConvTask& task, const Axis& axis, std::int64_t bytes_of_row) {
  const ConvGeometry& g = task.geometry;
  // Half of an L2 of 50 MiB at most, and of one picture less, whose arena is small.
  const std::int64_t most_bytes = (std::int64_t{8} << 20) * std::min<std::int64_t>(task.io.out.desc.n(), 3);
  for (int rows = g.oh;; rows = (rows + 1) / 2) {
    int low = 1;
    for (int begin = 0; begin < g.oh; begin += rows) {
      const LowRows r = low_rows(axis, begin, std::min(begin + rows, g.oh), g.kh, g.top);
      low = std::max(low, r.last - r.first + 1);
    }
    if (rows == 1 || low * bytes_of_row <= most_bytes) return {rows, low};
  }
}

// (O, C, kh, kw) -> (taps O, C, 1, 1)
std::shared_ptr<const Constant> weight_by_taps(const Operand& weight) {
  const Desc w = weight.desc;
  const std::int64_t outputs = w.extent[0], channels = w.extent[1], taps = w.extent[2] * w.extent[3];
  const auto make = [=, from = weight.constant] {
    const auto values = from->values();
    std::shared_ptr<float[]> to(new float[static_cast<std::size_t>(w.elements())]);
    for (std::int64_t t = 0; t < taps; ++t)
      for (std::int64_t o = 0; o < outputs; ++o)
        for (std::int64_t c = 0; c < channels; ++c)
          to[(t * outputs + o) * channels + c] = values[(o * channels + c) * taps + t];
    return std::shared_ptr<const float[]>(to);
  };
  return std::make_shared<Constant>(Constant{Desc::dense({taps * outputs, channels, 1, 1}), make});
}

}  // namespace

std::string fits_products(const ConvTask& task) {
  if (!task.op.low_products) return "not an enlarged map's, or cheaper at the large size";
  if (const std::string extras = task.extras(); !extras.empty()) return extras;
  if (!task.role.weight.constant) return "weights that are computed";
  return {};
}

void build_products(const ConvTask& task, Step& step) {
  const ConvGeometry& g = task.geometry;
  const Operand &x = task.role.sources[0], &y = task.io.out;
  const Source& source = task.op.sources[0];
  const DType type = task.backend.precision() == Precision::fp16 ? DType::f16 : DType::f32;
  const int products = g.kh * g.kw * g.o, stored = type == DType::f16 ? (products + 7) / 8 * 8 : products;
  const std::int64_t n = x.desc.n(), w = x.desc.w();

  SumProducts sum;
  sum.rows = Axis(source, x.desc.h(), g.h), sum.columns = Axis(source, w, g.w);
  const Strips strips = cut(task, sum.rows, n * w * stored * size_of(type));
  // The inner convolution, on `low` rows of x at a time. Its ids: 0 the rows, 1 the products.
  Operand rows{0, x.desc, x.name, nullptr};
  rows.desc.extent[2] = strips.low;
  Operand product{1,
                  {type, 4, {n, products, strips.low, w}, {w * stored * strips.low, 1, w * stored, stored}},
                  y.name + ".products",
                  nullptr};
  const Operand weight{2, Desc::dense({products, x.desc.c(), 1, 1}), task.role.weight.name + " by taps",
                       weight_by_taps(task.role.weight)};
  const Step inner = prepare(Conv2d{}, {.name = task.io.name, .in = {rows, weight}, .out = product}, task.backend);

  const std::int64_t product_bytes = (product.desc.storage_bytes() + 255) / 256 * 256;
  step.workspace_bytes = product_bytes + inner.workspace_bytes;
  step.counters = inner.counters;
  const int count = (g.oh + strips.rows - 1) / strips.rows;
  step.launches = count * (inner.launches + 1);
  step.kernel =
      "products at the small size, " + std::to_string(count) + (count > 1 ? " strips, " : " strip, ") + inner.kernel;

  const bool in_chunks = g.o % 8 == 0;  // each tap's channels then begin at a multiple of a chunk
  std::vector<Desc> maps{y.desc, product.desc};
  if (task.role.residual) maps.push_back(task.role.residual->desc);
  int width = 8;
  for (const Desc& d : maps) width = std::min(width, in_chunks ? chunk_width({d}) : 1);
  sum.outputs = g.o, sum.kh = g.kh, sum.kw = g.kw, sum.top = g.top, sum.left = g.left, sum.f = task.op.activation;
  sum.has_residual = task.role.residual != nullptr;
  const Operand residual = task.role.residual ? *task.role.residual : Operand{};
  step.run = [=, bias = task.bias((g.o + 7) / 8 * 8)](const RunArgs& args) {
    SumProducts s = sum;
    s.bias = bias.get();
    s.products = ChunkMap(product.desc, args.workspace, width), s.y = ChunkMap(y.desc, args.data[y.id], width);
    if (s.has_residual) s.residual = ChunkMap(residual.desc, args.data[residual.id], width);
    for (int begin = 0; begin < g.oh; begin += strips.rows) {
      const int end = std::min(begin + strips.rows, g.oh);
      s.first_low = std::min(low_rows(s.rows, begin, end, g.kh, g.top).first, s.rows.in - strips.low);
      s.first_row = begin;
      void* const data[] = {args.pointer<std::byte>(x) + s.first_low * x.desc.stride[2] * size_of(x.desc.dtype),
                            args.workspace};
      inner.run({data, args.workspace + product_bytes, args.stream, args.counters});
      Desc strip = y.desc;
      strip.extent[2] = end - begin;
      launch_chunks(width, strip, args.stream, s);
    }
  };
}

}  // namespace fathom::gpu
