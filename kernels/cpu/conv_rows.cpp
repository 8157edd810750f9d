// The convolution that fits everything: each thread takes some rows of the output, and for each block of channels runs
// along rows where all taps lie inside, down the columns at the left and right border, and pixel by pixel in the rest.
#include <algorithm>

#include "kernels/cpu/conv_rows.hpp"
#include "kernels/cpu/simd.hpp"

namespace fathom::cpu {

namespace {

// The part of a run that one thread works on.
struct Walk {
  const RowConv& conv;
  const RunArgs& args;
  const float* weight;
  View<float, 4> y;
  const View<const float, 4>* residual;  // null: none
  Term* terms;
  float* strip;  // gathered rows
  float* low;    // a row of one block, if low_first
  std::int64_t n;
  std::int64_t first_row, last_row;  // of the output
  std::int64_t strip_row;            // the padded row that the strip begins with

  int add_term(int count, const float* x, const float* w, std::int64_t step, std::int64_t channels,
               std::int64_t width) const {
    if (count > 0) {
      Term& last = terms[count - 1];
      if (last.step == step && last.x + last.count == x && last.w + last.count * width == w && !conv.depthwise) {
        last.count += channels;
        return count;
      }
    }
    terms[count] = {x, w, step, channels};
    return count + 1;
  }

  enum class Which { all, doubled, others };
  // Lists the terms of output pixel (i, j) for a block, for a run along the row or down the column.
  int list_terms(const RowBlock& b, std::int64_t i, std::int64_t j, bool down, Which which) const {
    const Conv2d& op = conv.op;
    const std::int64_t S = conv.phases;
    int count = 0;
    const float* strip_at = strip;
    for (const RowSource& s : conv.sources) {
      const bool doubled = s.kind == RowSource::Kind::doubled, gathered = s.kind == RowSource::Kind::gathered;
      if (which != Which::all && doubled != (which == Which::doubled)) continue;
      const std::size_t p = static_cast<std::size_t>(i % s.phases), q = static_cast<std::size_t>(j % s.phases);
      const std::int64_t channels = op.groups == 1 ? s.c : b.channels, offset = op.groups == 1 ? 0 : b.c;
      const std::vector<TapGroup>&rows = s.rows[p], &columns = s.columns[q];
      const float* w =
          weight + s.weights + s.phase_weights[p * 2 + q] +
          (op.groups == 1 ? b.bias * s.c : b.before) * static_cast<std::int64_t>(rows.size() * columns.size());
      View<const float, 4> x{};
      if (gathered) {
        const std::int64_t width = s.gather[0].width();
        x = {strip_at, {}, {0, 1, width * s.c, s.c}};
        strip_at += width * s.c * rows_of_strip();
      } else {
        x = s.map[0].view(args);
      }
      const std::int64_t step = down ? (doubled ? x.stride[2] : S * op.stride.h * x.stride[2])
                                     : (doubled ? x.stride[3] : S * op.stride.w * x.stride[3]);
      for (const TapGroup& ga : rows) {
        const std::int64_t row =
            gathered ? i * op.stride.h + ga[0] * op.dilation.h - strip_row
                     : place(i * op.stride.h + ga[0] * op.dilation.h - op.padding.top, conv.h, s.mode, doubled);
        for (const TapGroup& gb : columns) {
          const std::int64_t column =
              gathered ? j * op.stride.w + gb[0] * op.dilation.w
                       : place(j * op.stride.w + gb[0] * op.dilation.w - op.padding.left, conv.w, s.mode, doubled);
          if (row >= 0 && column >= 0)
            count = add_term(count, &x(gathered ? 0 : n, offset, row, column), w, step, channels, b.width);
          w += channels * b.width;
        }
      }
    }
    return count;
  }

  static std::int64_t place(std::int64_t at, std::int64_t size, PadMode mode, bool doubled) {
    const std::int64_t inside = padded_index(at, size, mode);
    return doubled ? inside >> 1 : inside;
  }

  std::int64_t rows_of_strip() const {
    return (last_row - first_row - 1) * conv.op.stride.h + conv.op.dilation.h * (conv.kh - 1) + 1;
  }

  // `pixels` outputs from (i, j) on, phases apart, along the row or down the column.
  void run(const RowBlock& b, std::int64_t i, std::int64_t j, std::int64_t pixels, bool down) const {
    if (pixels <= 0) return;
    const int axis = down ? 2 : 3;
    Tile tile{terms,
              list_terms(b, i, j, down, Which::all),
              conv.bias.get() + b.bias,
              &y(n, b.o, i, j),
              conv.phases * y.stride[axis],
              b.lanes,
              nullptr,
              0,
              pixels};
    if (residual) tile.residual = &(*residual)(n, b.o, i, j), tile.residual_step = conv.phases * residual->stride[axis];
    execute(b, tile);
  }

  void execute(const RowBlock& b, const Tile& tile) const {
    (conv.depthwise ? conv.tiles.depthwise : conv.tiles.of_width(static_cast<int>(b.width)))(tile);
  }

  // low_first: the doubled sources' share of two rows, then the rest on top of it.
  void block_from_low(const RowBlock& b) const {
    for (std::int64_t i = first_row / 2 * 2; i < last_row; i += 2) {
      execute(b, {terms, list_terms(b, i, 0, false, Which::doubled), conv.bias.get() + b.bias, low, 2 * b.width,
                  b.lanes, nullptr, 0, conv.ow / 2});
      copy_pixels(low, 2 * b.width, low + b.width, 2 * b.width, conv.ow / 2, b.lanes);
      for (std::int64_t k = std::max(i, first_row); k < std::min(i + 2, last_row); ++k)
        execute(b, {terms, list_terms(b, k, 0, false, Which::others), conv.no_bias.get(), &y(n, b.o, k, 0), y.stride[3],
                    b.lanes, low, b.width, conv.ow});
    }
  }

  void block(const RowBlock& b) const {
    if (conv.low_first) return block_from_low(b);
    const std::int64_t S = conv.phases;
    for (std::int64_t i = first_row; i < last_row; ++i)
      for (std::int64_t q = 0; q < S; ++q) {
        const std::int64_t j = conv.inner_left + q;
        run(b, i, j, (conv.inner_right - j + S - 1) / S, false);
      }
    const std::int64_t top = std::clamp(conv.inner_top, first_row, last_row),
                       bottom = std::clamp(conv.inner_bottom, top, last_row);
    for (std::int64_t j = 0; j < conv.ow; ++j) {
      if (j == conv.inner_left) j = conv.inner_right;
      if (j >= conv.ow) break;
      for (std::int64_t p = 0; p < S; ++p) run(b, top + p, j, (bottom - top - p + S - 1) / S, true);
      for (std::int64_t i = first_row; i < top; ++i) run(b, i, j, 1, true);
      for (std::int64_t i = bottom; i < last_row; ++i) run(b, i, j, 1, true);
    }
  }

  void activate(std::int64_t o, std::int64_t channels) const {
    if (conv.op.activation.kind == ActivationKind::none) return;
    const bool dense = rows_dense(y) && channels == y.extent[1];
    for (std::int64_t i = first_row; i < last_row; ++i)
      for (std::int64_t j = 0; j < (dense ? 1 : conv.ow); ++j) {
        float* at = &y(n, o, i, j);
        activate_run(conv.op.activation, at, at, dense ? conv.ow * channels : channels);
      }
  }
};

// Multiplies the weights of every source by the gate of one image.
void scale_weights(const RowConv& conv, const float* gate, float* scaled, int threads) {
  for (const RowSource& s : conv.sources) {
    for (std::int64_t phase = 0; phase < (s.phases == 2 ? 4 : 1); ++phase) {
      const std::int64_t taps = static_cast<std::int64_t>(s.rows[phase / 2].size() * s.columns[phase % 2].size());
      parallel_for(threads, static_cast<std::int64_t>(conv.blocks.size()), [&](std::int64_t k, int) {
        const RowBlock& b = conv.blocks[static_cast<std::size_t>(k)];
        std::int64_t at = s.weights + s.phase_weights[static_cast<std::size_t>(phase)] +
                          (conv.op.groups == 1 ? b.bias * s.c : b.before) * taps;
        const std::int64_t channels = conv.op.groups == 1 ? s.c : b.channels,
                           first = conv.op.groups == 1 ? s.first_channel : b.c;
        const float* from = conv.weight.get();
        for (std::int64_t tap = 0; tap < taps; ++tap)
          for (std::int64_t c = 0; c < (conv.depthwise ? 1 : channels); ++c)
            for (std::int64_t lane = 0; lane < b.width; ++lane, ++at)
              scaled[at] = from[at] * (conv.depthwise ? (lane < b.lanes ? gate[first + lane] : 0) : gate[first + c]);
      });
    }
  }
}

}  // namespace

void build_rows(const ConvTask& t, Step& step) {
  const int threads = t.backend.threads();
  const std::int64_t images = t.io.out.desc.n();
  const RowConv conv = lay_out(t);
  const bool scaled_weights = conv.gate_on_weights;

  // Rows of output at a time: their input stays in the second cache, and every thread gets some. Where there are fewer
  // rows than threads, or more weights than input, blocks of channels are shared out instead.
  constexpr std::int64_t cache_floats = 1 << 18;
  const std::int64_t block_count = static_cast<std::int64_t>(conv.blocks.size());
  const bool gathers = std::any_of(conv.sources.begin(), conv.sources.end(),
                                   [](const RowSource& s) { return s.kind == RowSource::Kind::gathered; });
  const bool by_blocks = !gathers && block_count >= threads && conv.weight_floats > 2 * t.c * t.h * t.w;
  std::int64_t rows = by_blocks ? conv.oh : std::max<std::int64_t>(1, (conv.oh + threads - 1) / threads);
  while (rows > 8 && t.rows_under(rows) * t.w * t.c > cache_floats) rows = (rows + 1) / 2;
  if (conv.phases == 2 || conv.low_first) rows += rows % 2;
  const std::int64_t strips = (conv.oh + rows - 1) / rows;
  std::int64_t parts = by_blocks ? threads : 1;
  while (images * strips * parts < threads && parts < block_count) ++parts;
  const std::int64_t blocks_per_part = (block_count + parts - 1) / parts;

  const auto aligned = [](std::int64_t bytes) { return (bytes + 63) / 64 * 64; };
  const std::int64_t weight_bytes = scaled_weights ? aligned(conv.weight_floats * 4) : 0;
  const std::int64_t term_bytes = aligned(conv.max_terms * static_cast<std::int64_t>(sizeof(Term)));
  std::int64_t strip_floats = 0;
  for (const RowSource& s : conv.sources)
    if (s.kind == RowSource::Kind::gathered) strip_floats += t.rows_under(rows) * s.gather[0].width() * s.c;
  const std::int64_t low_bytes = conv.low_first ? conv.ow * 32 * 4 : 0;
  const std::int64_t own = term_bytes + low_bytes + aligned(strip_floats * 4);
  step.workspace_bytes = weight_bytes + threads * own;
  step.kernel += conv.phases == 2 ? ", doubled sources in four phases"
                 : conv.low_first ? ", doubled sources first"
                                  : "";
  if (strip_floats) step.kernel += ", gathered rows";
  if (scaled_weights) step.kernel += ", gate on the weights";

  std::vector<Input> residual, gate;
  if (t.role.residual) residual.emplace_back(*t.role.residual, t.backend);
  if (scaled_weights) gate.emplace_back(*t.role.gate, t.backend);
  step.run = [=, out = t.io.out](const RunArgs& args) {
    const View<float, 4> y = args.view<float>(out);
    View<const float, 4> r{};
    if (!residual.empty()) r = residual[0].view(args);
    float* scaled = reinterpret_cast<float*>(args.workspace);
    // With a gate every image has weights of its own.
    for (std::int64_t image = 0; image < (scaled_weights ? images : 1); ++image) {
      if (scaled_weights) scale_weights(conv, &gate[0].view(args)(image, 0, 0, 0), scaled, threads);
      parallel_for(threads, (scaled_weights ? 1 : images) * strips * parts, [&](std::int64_t k, int thread) {
        std::byte* mine = args.workspace + weight_bytes + thread * own;
        const std::int64_t part = k % parts, first = k / parts % strips * rows;
        const Walk walk{conv,
                        args,
                        scaled_weights ? scaled : conv.weight.get(),
                        y,
                        residual.empty() ? nullptr : &r,
                        reinterpret_cast<Term*>(mine),
                        reinterpret_cast<float*>(mine + term_bytes + low_bytes),
                        reinterpret_cast<float*>(mine + term_bytes),
                        image + k / parts / strips,
                        first,
                        std::min(conv.oh, first + rows),
                        first * conv.op.stride.h};
        float* strip = walk.strip;
        for (const RowSource& s : conv.sources) {
          if (s.kind != RowSource::Kind::gathered) continue;
          const std::int64_t row_floats = s.gather[0].width() * s.c;
          for (std::int64_t i = 0; i < walk.rows_of_strip(); ++i, strip += row_floats)
            s.gather[0].read(args, walk.n, walk.strip_row + i, strip);
        }
        const std::int64_t begin = part * blocks_per_part, end = std::min(block_count, begin + blocks_per_part);
        if (begin >= end) return;
        for (std::int64_t b = begin; b < end; ++b) walk.block(conv.blocks[static_cast<std::size_t>(b)]);
        const RowBlock &from = conv.blocks[static_cast<std::size_t>(begin)],
                       &to = conv.blocks[static_cast<std::size_t>(end - 1)];
        walk.activate(from.o, to.o + to.lanes - from.o);
      });
    }
  };
}

}  // namespace fathom::cpu
