// Convolutions by oneDNN: directly where there is one source with zero padding, else over strips of rows gathered into
// a padded workspace, so that resized, concatenated, reflected or gated inputs are never stored whole.
#include <algorithm>
#include <cstring>

#include "kernels/cpu/conv.hpp"
#include "kernels/cpu/dnnl.hpp"

namespace fathom::cpu {

namespace {

// The convolution of a task for so many images and rows of an input of the given width; padding none unless set.
DnnlShape shape_of(const ConvTask& t, std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t oh) {
  const Desc& y = t.io.out.desc;
  return {.n = n,
          .c = t.c,
          .h = h,
          .w = w,
          .o = y.c(),
          .oh = oh,
          .ow = y.w(),
          .kh = int(t.kh()),
          .kw = int(t.kw()),
          .stride = t.op.stride,
          .dilation = t.op.dilation,
          .groups = t.op.groups,
          .bias = t.op.bias,
          .sum = t.op.residual,
          .activation = t.op.activation};
}

Packed bias_of(const ConvTask& t) {
  if (!t.role.bias) return nullptr;
  const std::int64_t count = t.role.bias->desc.elements();
  return packed(t.backend, *t.role.bias, "it is", count,
                [count](const float* from, float* to) { std::copy_n(from, count, to); });
}

DnnlShape plain_shape(const ConvTask& t) {
  DnnlShape s = shape_of(t, t.io.out.desc.n(), t.h, t.w, t.io.out.desc.h());
  s.padding = t.op.padding;
  return s;
}

// The residual comes to where the sum is made.
void copy_residual(const View<const float, 4>& r, const View<float, 4>& y, int threads) {
  parallel_for(threads, y.extent[0] * y.extent[2], [&](std::int64_t k, int) {
    const std::int64_t n = k / y.extent[2], i = k % y.extent[2];
    copy_pixels(&r(n, 0, i, 0), r.stride[3], &y(n, 0, i, 0), y.stride[3], y.extent[3], y.extent[1]);
  });
}

std::string grouped_reason(const ConvTask& t) {
  const std::int64_t per_group = t.io.out.desc.c() / t.op.groups;
  return t.op.groups > 1 && (per_group > 1 || t.role.weight.desc.extent[1] > 1)
             ? "grouped convolutions run slowly there"
             : "";
}

}  // namespace

std::string fits_plain(const ConvTask& t) {
  if (!t.plain()) return "more than one source, a resize, a gate, or padding other than zeros";
  if (!t.io.out.desc.is_dense_nhwc()) return "the output is a channel slice";
  if (!Input(t.role.sources[0], t.backend).desc().is_dense_nhwc()) return "the input is a channel slice";
  if (std::string why = grouped_reason(t); !why.empty()) return why;
  std::string why;
  DnnlConv::make(plain_shape(t), t.backend.threads(), why);
  return why;
}

void build_plain(const ConvTask& t, Step& step) {
  std::string why;
  const int threads = t.backend.threads();
  const auto conv = DnnlConv::make(plain_shape(t), threads, why);
  step.kernel += " " + conv->implementation();
  step.workspace_bytes = conv->scratchpad_bytes();
  std::vector<Input> residual;
  if (t.role.residual && !t.residual_in_y) residual.emplace_back(*t.role.residual, t.backend);
  step.run = [conv, x = Input(t.role.sources[0], t.backend), weight = conv->pack(t.backend, t.role.weight),
              bias = bias_of(t), residual, out = t.io.out, threads](const RunArgs& args) {
    const ThreadScope scope(threads);
    if (!residual.empty()) copy_residual(residual[0].view(args), args.view<float>(out), threads);
    conv->run(x.view(args).data, weight.get(), bias.get(), args.pointer<float>(out), args.workspace);
  };
}

std::string fits_gathered(const ConvTask& t) {
  if (!t.io.out.desc.is_dense_nhwc()) return "the output is a channel slice";
  if (std::string why = grouped_reason(t); !why.empty()) return why;
  std::string why;
  DnnlConv::make(shape_of(t, 1, t.rows_under(1), t.padded_w(), 1), 1, why);
  return why;
}

void build_gathered(const ConvTask& t, Step& step) {
  const Desc& y = t.io.out.desc;
  const int threads = t.backend.threads();
  const std::int64_t row_floats = t.padded_w() * t.c;

  // Two ways to share the work. Every thread takes strips of rows of its own, gathers and convolves them within its
  // second cache; where weights are too large to be read again for every strip, whole images are gathered and convolved
  // by all.
  constexpr std::int64_t cache_bytes = 384 << 10;
  const bool whole = t.role.weight.desc.elements() * 4 > 2 * cache_bytes || y.h() < threads;
  std::int64_t strip = y.h();
  if (!whole) {
    strip = std::max<std::int64_t>(1, (y.h() + threads - 1) / threads);
    while (strip > 4 && t.rows_under(strip) * row_floats * 4 > cache_bytes) strip = (strip + 1) / 2;
  }
  const std::int64_t strips = (y.h() + strip - 1) / strip, rest = y.h() - (strips - 1) * strip;
  const int conv_threads = whole ? threads : 1;
  std::string why;
  const auto make = [&](std::int64_t rows) {
    return DnnlConv::make(shape_of(t, 1, t.rows_under(rows), t.padded_w(), rows), conv_threads, why);
  };
  const auto full = make(strip), last = rest == strip ? full : make(rest);
  step.kernel += (whole ? ", whole images, " : ", strips of " + std::to_string(strip) + ", ") + full->implementation();
  const auto aligned = [](std::int64_t bytes) { return (bytes + 63) / 64 * 64; };
  const std::int64_t scratch = aligned(std::max(full->scratchpad_bytes(), last->scratchpad_bytes()));
  const std::int64_t own = scratch + aligned(t.rows_under(strip) * row_floats * 4);
  step.workspace_bytes = own * (whole ? 1 : threads);
  std::vector<Input> residual;
  if (t.role.residual && !t.residual_in_y) residual.emplace_back(*t.role.residual, t.backend);

  step.run = [=, input = GatheredInput(t), full_weight = full->pack(t.backend, t.role.weight),
              last_weight = last->pack(t.backend, t.role.weight), bias = bias_of(t), out = t.io.out,
              step_h = t.op.stride.h, rows_full = t.rows_under(strip),
              rows_last = t.rows_under(rest)](const RunArgs& args) {
    const View<float, 4> y = args.view<float>(out);
    const auto run_strip = [&](std::int64_t k, int thread, int gather_threads) {
      const std::int64_t n = k / strips, first = k % strips * strip;
      const bool is_last = k % strips == strips - 1;
      std::byte* scratchpad = args.workspace + thread * own;
      float* x = reinterpret_cast<float*>(scratchpad + scratch);
      parallel_for(gather_threads, is_last ? rows_last : rows_full,
                   [&](std::int64_t i, int) { input.read(args, n, first * step_h + i, x + i * row_floats); });
      if (!residual.empty()) {
        View<const float, 4> r = residual[0].view(args);
        View<float, 4> part = y;
        r.data = &r(n, 0, first, 0), part.data = &y(n, 0, first, 0);
        part.extent[0] = 1, part.extent[2] = is_last ? rest : strip;
        copy_residual(r, part, gather_threads);
      }
      const DnnlConv& conv = is_last ? *last : *full;
      conv.run(x, (is_last ? last_weight : full_weight).get(), bias.get(), &y(n, 0, first, 0), scratchpad);
    };
    const ThreadScope scope(conv_threads);
    if (whole) {
      for (std::int64_t n = 0; n < y.extent[0]; ++n) run_strip(n, 0, threads);
    } else {
      parallel_for(threads, y.extent[0] * strips, [&](std::int64_t k, int thread) { run_strip(k, thread, 1); });
    }
  };
}

}  // namespace fathom::cpu
