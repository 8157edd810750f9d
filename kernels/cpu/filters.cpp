// BoxFilter and GuidedFilter.
#include "kernels/cpu/input.hpp"
#include "kernels/cpu/kernels.hpp"
#include "kernels/cpu/rows.hpp"
#include "kernels/cpu/simd.hpp"

namespace fathom {

using namespace cpu;

namespace {

// sum[i] = over the 2 radius + 1 places round i, `step` apart; column has radius * step zeros on either side.
template <class T>
FATHOM_INLINE void slide(const T* column, std::int64_t step, int radius, std::int64_t count, T* __restrict sum) {
  for (std::int64_t i = 0; i < count; ++i) sum[i] = 0;
  for (int k = 0; k <= 2 * radius; ++k)
    for (std::int64_t i = 0; i < count; ++i) sum[i] += column[k * step + i];
}

FATHOM_CLONES void slide_row(const float* column, std::int64_t step, int radius, std::int64_t count,
                             float* __restrict sum) {
  slide(column, step, radius, count, sum);
}
FATHOM_CLONES void slide_row(const double* column, std::int64_t step, int radius, std::int64_t count,
                             double* __restrict sum) {
  slide(column, step, radius, count, sum);
}

FATHOM_CLONES void add_to(const float* x, std::int64_t x_pixel, std::int64_t w, std::int64_t c, float* __restrict sum) {
  for (std::int64_t j = 0; j < w; ++j)
    for (std::int64_t q = 0; q < c; ++q) sum[j * c + q] += x[j * x_pixel + q];
}

// Divides each pixel of a row of window sums by the cells of its window.
FATHOM_CLONES void divide_row(const float* sum, std::int64_t rows, int radius, std::int64_t w, std::int64_t c, float* y,
                              std::int64_t y_pixel) {
  for (std::int64_t j = 0; j < w; ++j) {
    const std::int64_t cells =
        rows * (std::min<std::int64_t>(w, j + radius + 1) - std::max<std::int64_t>(0, j - radius));
    const float factor = 1.f / static_cast<float>(cells);
    for (std::int64_t q = 0; q < c; ++q) y[j * y_pixel + q] = sum[j * c + q] * factor;
  }
}

// The rows of a window of the given radius round row i.
struct Range {
  std::int64_t begin, end;
};
Range window(std::int64_t i, int radius, std::int64_t h) {
  return {std::max<std::int64_t>(0, i - radius), std::min<std::int64_t>(h, i + radius + 1)};
}

// A thread's rows in a guided filter: column sums with margins, and window sums; of x, x^2 (w), y, x y (w c), in double
// because variance and covariance are small differences of large numbers.
struct Moments {
  double *x, *xx, *y, *xy;
  static std::int64_t doubles(std::int64_t w, std::int64_t c) { return 2 * w * (1 + c); }
  Moments(double* at, std::int64_t w, std::int64_t c) : x(at), xx(at + w), y(at + 2 * w), xy(at + 2 * w + w * c) {}
};

FATHOM_CLONES void add_moments(const float* x, std::int64_t x_pixel, const float* y, std::int64_t y_pixel,
                               std::int64_t w, std::int64_t c, const Moments& sum, std::int64_t margin) {
  for (std::int64_t j = 0; j < w; ++j) {
    const double guide = x[j * x_pixel];
    sum.x[margin + j] += guide, sum.xx[margin + j] += guide * guide;
    const float* signal = y + j * y_pixel;
    double *sy = sum.y + (margin + j) * c, *sxy = sum.xy + (margin + j) * c;
    for (std::int64_t q = 0; q < c; ++q) sy[q] += signal[q], sxy[q] += guide * signal[q];
  }
}

// A = (mean(x y) - mean(x) mean(y)) / (mean(x^2) - mean(x)^2 + eps);  b = mean(y) - A mean(x)
FATHOM_CLONES void solve_row(const Moments& sum, std::int64_t rows, int radius, double eps, std::int64_t w,
                             std::int64_t c, float* __restrict a, float* __restrict b) {
  for (std::int64_t j = 0; j < w; ++j) {
    const std::int64_t cells =
        rows * (std::min<std::int64_t>(w, j + radius + 1) - std::max<std::int64_t>(0, j - radius));
    const double scale = 1.0 / static_cast<double>(cells), mx = sum.x[j] * scale;
    const double inverse = 1.0 / (sum.xx[j] * scale - mx * mx + eps);
    for (std::int64_t q = 0; q < c; ++q) {
      const double my = sum.y[j * c + q] * scale, slope = (sum.xy[j * c + q] * scale - mx * my) * inverse;
      a[j * c + q] = static_cast<float>(slope), b[j * c + q] = static_cast<float>(my - slope * mx);
    }
  }
}

FATHOM_CLONES void guide_row(const float* a, const float* b, const float* guide, std::int64_t guide_pixel,
                             std::int64_t w, std::int64_t c, float* y, std::int64_t y_pixel) {
  for (std::int64_t j = 0; j < w; ++j)
    for (std::int64_t q = 0; q < c; ++q) y[j * y_pixel + q] = a[j * c + q] * guide[j * guide_pixel] + b[j * c + q];
}

}  // namespace

Step prepare(const BoxFilter& op, const NodeIo& io, CpuBackend& backend) {
  expect_channels_last(io.out.desc, io.out.name);
  Step step = describe(op, io);
  step.kernel = "row sums";
  const std::int64_t c = io.out.desc.c(), w = io.out.desc.w();
  const std::int64_t columns = (w + 2 * op.radius) * c, floats = columns + w * c;  // of a thread
  step.workspace_bytes = backend.threads() * floats * 4;
  step.run = [in = Input(io.in[0], backend), out = io.out, radius = op.radius, c, w, columns, floats,
              threads = backend.threads()](const RunArgs& args) {
    const View<const float, 4> x = in.view(args);
    const View<float, 4> y = args.view<float>(out);
    const std::int64_t h = y.extent[2];
    parallel_for(threads, y.extent[0] * h, [&](std::int64_t row, int thread) {
      const std::int64_t n = row / h, i = row % h;
      float* column = reinterpret_cast<float*>(args.workspace) + thread * floats;
      std::fill_n(column, columns, 0.f);
      const Range rows = window(i, radius, h);
      for (std::int64_t k = rows.begin; k < rows.end; ++k)
        add_to(&x(n, 0, k, 0), x.stride[3], w, c, column + radius * c);
      slide_row(column, c, radius, w * c, column + columns);
      divide_row(column + columns, rows.end - rows.begin, radius, w, c, &y(n, 0, i, 0), y.stride[3]);
    });
  };
  return step;
}

Step prepare(const GuidedFilter& op, const NodeIo& io, CpuBackend& backend) {
  expect_channels_last(io.out.desc, io.out.name);
  Step step = describe(op, io);
  step.kernel = "row sums in double";
  const Desc low = Desc::nhwc(1, io.in[0].desc.c(), io.in[0].desc.h(), io.in[0].desc.w());
  const std::int64_t c = low.c(), w = low.w(), wide = w + 2 * op.radius;
  // Workspace: A and b of one image, then for each thread either its moments or two rows of the output.
  const std::int64_t maps = 2 * ((low.elements() + 15) / 16 * 16) * 4;
  const std::int64_t row_floats = io.out.desc.w() * c;
  const std::int64_t own =
      (std::max((Moments::doubles(wide, c) + Moments::doubles(w, c)) * 8, 2 * row_floats * 4) + 63) / 64 * 64;
  step.workspace_bytes = maps + backend.threads() * own;
  const Resize up{.mode = ResizeMode::bilinear,
                  .size = {static_cast<int>(io.out.desc.h()), static_cast<int>(io.out.desc.w())},
                  .align_corners = true};
  step.run = [signal = Input(io.in[0], backend), guide = Input(io.in[1], backend), full = Input(io.in[2], backend),
              out = io.out, op, low, c, w, wide, maps, row_floats, own,
              reader = RowReader(low, up, PadMode::zeros, Padding{}),
              threads = backend.threads()](const RunArgs& args) {
    const View<const float, 4> s = signal.view(args), x = guide.view(args), g = full.view(args);
    const View<float, 4> y = args.view<float>(out);
    float *a = reinterpret_cast<float*>(args.workspace), *b = a + maps / 8;
    const auto a_map = fathom::view<const float, 4>(low, a), b_map = fathom::view<const float, 4>(low, b);
    const auto mine = [&](int thread) { return args.workspace + maps + thread * own; };
    for (std::int64_t n = 0; n < y.extent[0]; ++n) {
      parallel_for(threads, low.h(), [&](std::int64_t i, int thread) {
        double* at = reinterpret_cast<double*>(mine(thread));
        const Moments columns(at, wide, c), sums(at + Moments::doubles(wide, c), w, c);
        std::fill_n(at, Moments::doubles(wide, c), 0.0);
        const Range rows = window(i, op.radius, low.h());
        for (std::int64_t k = rows.begin; k < rows.end; ++k)
          add_moments(&x(n, 0, k, 0), x.stride[3], &s(n, 0, k, 0), s.stride[3], w, c, columns, op.radius);
        slide_row(columns.x, 1, op.radius, w, sums.x), slide_row(columns.xx, 1, op.radius, w, sums.xx);
        slide_row(columns.y, c, op.radius, w * c, sums.y), slide_row(columns.xy, c, op.radius, w * c, sums.xy);
        solve_row(sums, rows.end - rows.begin, op.radius, double(op.eps), w, c, a + i * w * c, b + i * w * c);
      });
      parallel_for(threads, y.extent[2], [&](std::int64_t i, int thread) {
        float *up_a = reinterpret_cast<float*>(mine(thread)), *up_b = up_a + row_floats;
        reader.read(a_map, 0, i, up_a, c, nullptr), reader.read(b_map, 0, i, up_b, c, nullptr);
        guide_row(up_a, up_b, &g(n, 0, i, 0), g.stride[3], y.extent[3], c, &y(n, 0, i, 0), y.stride[3]);
      });
    }
  };
  return step;
}

}  // namespace fathom
