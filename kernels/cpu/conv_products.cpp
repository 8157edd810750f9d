// Convolutions of a bilinearly enlarged map by products at its own size (engine/passes/lower_products.cpp says why).
//   P(t, o) at (y, x) = sum over c of w(o, c, a, b) x(c, y, x),  t = (a, b)       oneDNN, some rows of the small map at
//   a time S(b, o) at x      = sum over a of the two rows of P(a, b) round row i + a     per output row y(o) at j =
//   act(bias + sum over b of the two columns of S(b) round column j + b + residual)
// Rows of P live in a window of the workspace: a chunk as computed, and before it the rows that are still needed.
#include <algorithm>
#include <cstring>

#include "kernels/cpu/conv.hpp"
#include "kernels/cpu/dnnl.hpp"
#include "kernels/cpu/simd.hpp"

namespace fathom::cpu {

namespace {

struct Products {
  std::int64_t c, h, w;    // of the small map
  std::int64_t o, oh, ow;  // of the output
  std::int64_t kh, kw;
  Padding padding;
  Activation activation;
  std::vector<Between> row, column;  // of the enlarged map, in the small one
  std::int64_t chunk = 1, keep = 0;  // rows of P made at once, and kept from before

  std::int64_t products() const { return kh * kw * o; }
  std::int64_t sums() const { return kw * o; }
  // The last row of P that output row i needs.
  std::int64_t last_row(std::int64_t i) const {
    return row[static_cast<std::size_t>(std::clamp<std::int64_t>(i + kh - 1 - padding.top, 0, std::ssize(row) - 1))]
        .high;
  }
  std::int64_t first_row(std::int64_t i) const {
    return row[static_cast<std::size_t>(std::clamp<std::int64_t>(i - padding.top, 0, std::ssize(row) - 1))].low;
  }
};

// s += up p0 + down p1
FATHOM_CLONES void add_rows(const float* p0, const float* p1, float up, float down, float* __restrict s,
                            std::int64_t pixels, std::int64_t p_pixel, std::int64_t s_pixel) {
  for (std::int64_t x = 0; x < pixels; ++x, p0 += p_pixel, p1 += p_pixel, s += s_pixel)
    for (std::int64_t q = 0; q < s_pixel; ++q) s[q] += up * p0[q] + down * p1[q];
}

// One output row from its sums; y holds bias and residual already.
FATHOM_CLONES void add_columns(const Products& p, const float* s, float* __restrict y, std::int64_t y_pixel) {
  const std::int64_t width = std::ssize(p.column);
  for (std::int64_t j = 0; j < p.ow; ++j, y += y_pixel)
    for (std::int64_t b = 0; b < p.kw; ++b) {
      const std::int64_t at = j + b - p.padding.left;
      if (at < 0 || at >= width) continue;
      const Between& place = p.column[static_cast<std::size_t>(at)];
      const float right = place.weight, left = 1 - right;
      const float *s0 = s + place.low * p.sums() + b * p.o, *s1 = s + place.high * p.sums() + b * p.o;
      for (std::int64_t q = 0; q < p.o; ++q) y[q] += left * s0[q] + right * s1[q];
    }
}

// Output row i. window: row r of P lies at window + (r - first) w products().
void make_row(const Products& p, const float* window, std::int64_t first, std::int64_t i, float* sums,
              const float* bias, const float* residual, std::int64_t residual_pixel, float* y, std::int64_t y_pixel) {
  std::memset(sums, 0, static_cast<std::size_t>(p.w * p.sums()) * sizeof(float));
  for (std::int64_t a = 0; a < p.kh; ++a) {
    const std::int64_t at = i + a - p.padding.top;
    if (at < 0 || at >= std::ssize(p.row)) continue;
    const Between& place = p.row[static_cast<std::size_t>(at)];
    const float* tap = window + a * p.sums();
    const std::int64_t stride = p.w * p.products();
    add_rows(tap + (place.low - first) * stride, tap + (place.high - first) * stride, 1 - place.weight, place.weight,
             sums, p.w, p.products(), p.sums());
  }
  for (std::int64_t j = 0; j < p.ow; ++j)
    for (std::int64_t q = 0; q < p.o; ++q)
      y[j * y_pixel + q] = (bias ? bias[q] : 0) + (residual ? residual[j * residual_pixel + q] : 0);
  add_columns(p, sums, y, y_pixel);
  if (p.activation.kind == ActivationKind::none) return;
  if (y_pixel == p.o) return activate_run(p.activation, y, y, p.ow * p.o);
  for (std::int64_t j = 0; j < p.ow; ++j) activate_run(p.activation, y + j * y_pixel, y + j * y_pixel, p.o);
}

// w(o, c, a, b) as the weight of a 1x1 convolution with an output for each (a, b, o).
Operand by_taps(const Operand& weight) {
  const Desc d = weight.desc;
  const std::int64_t o = d.extent[0], c = d.extent[1], taps = d.extent[2] * d.extent[3];
  Operand result = weight;
  result.name += " by taps";
  result.desc = Desc::dense({taps * o, c, 1, 1});
  result.constant = std::make_shared<Constant>(Constant{result.desc, [=, from = weight.constant] {
                                                          const auto w = from->values();
                                                          std::shared_ptr<float[]> values(
                                                              new float[static_cast<std::size_t>(taps * o * c)]);
                                                          for (std::int64_t t = 0; t < taps; ++t)
                                                            for (std::int64_t q = 0; q < o; ++q)
                                                              for (std::int64_t k = 0; k < c; ++k)
                                                                values[(t * o + q) * c + k] = w[(q * c + k) * taps + t];
                                                          return std::shared_ptr<const float[]>(values);
                                                        }});
  return result;
}

Products products_of(const ConvTask& t) {
  const Desc &x = t.role.sources[0].desc, &y = t.io.out.desc;
  Products p{.c = x.c(),
             .h = x.h(),
             .w = x.w(),
             .o = y.c(),
             .oh = y.h(),
             .ow = y.w(),
             .kh = t.kh(),
             .kw = t.kw(),
             .padding = t.op.padding,
             .activation = t.op.activation};
  const bool align = t.op.sources[0].resize.align_corners;
  p.row = bilinear_places(p.h, t.h, align), p.column = bilinear_places(p.w, t.w, align);
  p.chunk = std::clamp<std::int64_t>((256 + p.w - 1) / p.w, 1, p.h);  // 256 pixels keep a matrix product busy
  for (std::int64_t i = 0; i < p.oh; ++i) p.keep = std::max(p.keep, p.last_row(i) - p.first_row(i) + 1);
  return p;
}

DnnlShape product_shape(const Products& p) {
  return {.n = 1,
          .c = p.c,
          .h = p.chunk,
          .w = p.w,
          .o = p.products(),
          .oh = p.chunk,
          .ow = p.w,
          .kh = 1,
          .kw = 1,
          .stride = 1,
          .dilation = 1,
          .padding = 0};
}

}  // namespace

std::string fits_products(const ConvTask& t) {
  if (!t.op.low_products) return "the map is not enlarged, or products at its own size would not pay";
  if (!Input(t.role.sources[0], t.backend).desc().is_dense_nhwc()) return "the input is a channel slice";
  std::string why;
  DnnlConv::make(product_shape(products_of(t)), t.backend.threads(), why);
  return why;
}

void build_products(const ConvTask& t, Step& step) {
  const Products p = products_of(t);
  const int threads = t.backend.threads();
  std::string why;
  const auto product = DnnlConv::make(product_shape(p), threads, why);
  step.kernel += ", " + std::to_string(p.chunk) + " rows at a time, " + product->implementation();

  const auto aligned = [](std::int64_t floats) { return (floats * std::int64_t{sizeof(float)} + 63) / 64 * 64; };
  const std::int64_t window_bytes = aligned((p.keep + p.chunk) * p.w * p.products()),
                     sums_bytes = aligned(p.w * p.sums());
  step.workspace_bytes = window_bytes + threads * sums_bytes + product->scratchpad_bytes();
  std::vector<Input> residual;
  if (t.role.residual) residual.emplace_back(*t.role.residual, t.backend);
  std::shared_ptr<const float[]> bias = t.role.bias ? constant_values(*t.role.bias) : nullptr;

  step.run = [=, x = Input(t.role.sources[0], t.backend), weight = product->pack(t.backend, by_taps(t.role.weight)),
              out = t.io.out](const RunArgs& args) {
    const ThreadScope scope(threads);
    const auto from = x.view(args);
    const auto y = args.view<float>(out);
    float* window = reinterpret_cast<float*>(args.workspace);
    std::byte* scratchpad = args.workspace + window_bytes + threads * sums_bytes;
    const std::int64_t row = p.w * p.products();
    for (std::int64_t n = 0; n < y.extent[0]; ++n) {
      // window holds rows [begin - keep, begin + chunk) of P; those before 0 are never read.
      std::int64_t begin = 0, done = 0;
      for (bool first_chunk = true; done < p.oh; first_chunk = false) {
        if (!first_chunk) {
          const std::int64_t next = std::min(begin + p.chunk, p.h - p.chunk);  // the last chunk may overlap
          std::memmove(window, window + (next - begin) * row, static_cast<std::size_t>(p.keep * row) * sizeof(float));
          begin = next;
        }
        product->run(&from(n, 0, begin, 0), weight.get(), nullptr, window + p.keep * row, scratchpad);
        std::int64_t ready = done;
        while (ready < p.oh && p.last_row(ready) < begin + p.chunk) ++ready;
        parallel_for(threads, ready - done, [&](std::int64_t k, int thread) {
          const std::int64_t i = done + k;
          float* sums = reinterpret_cast<float*>(args.workspace + window_bytes + thread * sums_bytes);
          const float* r = nullptr;
          std::int64_t r_pixel = 0;
          if (!residual.empty()) {
            const auto v = residual[0].view(args);
            r = &v(n, 0, i, 0), r_pixel = v.stride[3];
          }
          make_row(p, window, begin - p.keep, i, sums, bias.get(), r, r_pixel, &y(n, 0, i, 0), y.stride[3]);
        });
        done = ready;
      }
    }
  };
}

}  // namespace fathom::cpu
