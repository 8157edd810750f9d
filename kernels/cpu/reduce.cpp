// Pool, PoolChain, GlobalMean and Linear: every output is a short sum or maximum over inputs.
#include <limits>

#include "kernels/cpu/input.hpp"
#include "kernels/cpu/kernels.hpp"
#include "kernels/cpu/simd.hpp"

namespace fathom {

using namespace cpu;

namespace {

// The cells of a window that lie inside the input, and how many the mean divides by.
struct Window {
  std::int64_t begin = 0, end = 0, divisor = 0;
};
std::vector<Window> windows(std::int64_t in, std::int64_t out, int kernel, int stride, int before, int after,
                            bool count_pad) {
  std::vector<Window> list;
  for (std::int64_t i = 0; i < out; ++i) {
    const std::int64_t from = i * stride - before, to = from + kernel;
    Window w{std::max<std::int64_t>(from, 0), std::min(to, in), 0};
    w.divisor = count_pad ? std::min(to, in + after) - from : w.end - w.begin;
    list.push_back(w);
  }
  return list;
}

template <class F>
FATHOM_INLINE void fold(const float* x, std::int64_t x_row, std::int64_t x_pixel, Window rows, Window columns,
                        float start, float* __restrict y, std::int64_t c, F f) {
  for (std::int64_t q = 0; q < c; ++q) y[q] = start;
  for (std::int64_t i = rows.begin; i < rows.end; ++i)
    for (std::int64_t j = columns.begin; j < columns.end; ++j) {
      const float* cell = x + i * x_row + j * x_pixel;
      for (std::int64_t q = 0; q < c; ++q) y[q] = f(y[q], cell[q]);
    }
}

// One row of the output.
FATHOM_CLONES void pool_row(PoolKind kind, const float* x, std::int64_t x_row, std::int64_t x_pixel, Window rows,
                            const Window* columns, std::int64_t count, float* y, std::int64_t y_pixel, std::int64_t c) {
  for (std::int64_t j = 0; j < count; ++j, y += y_pixel) {
    if (kind == PoolKind::max) {
      fold(x, x_row, x_pixel, rows, columns[j], -std::numeric_limits<float>::infinity(), y, c,
           [](float a, float b) { return a > b ? a : b; });
    } else {
      fold(x, x_row, x_pixel, rows, columns[j], 0.f, y, c, [](float a, float b) { return a + b; });
      const float factor = 1.f / static_cast<float>(rows.divisor * columns[j].divisor);
      for (std::int64_t q = 0; q < c; ++q) y[q] *= factor;
    }
  }
}

// y = factor x + shift, by channel
FATHOM_CLONES void scale_row(const float* factor, const float* shift, float* y, std::int64_t y_pixel,
                             std::int64_t count, std::int64_t c) {
  for (std::int64_t j = 0; j < count; ++j, y += y_pixel)
    for (std::int64_t q = 0; q < c; ++q) y[q] = factor[q] * y[q] + (shift ? shift[q] : 0);
}

// y += x
FATHOM_CLONES void add_to_row(const float* __restrict x, std::int64_t x_pixel, float* __restrict y,
                              std::int64_t y_pixel, std::int64_t count, std::int64_t c) {
  for (std::int64_t j = 0; j < count; ++j, x += x_pixel, y += y_pixel)
    for (std::int64_t q = 0; q < c; ++q) y[q] += x[q];
}

void activate_row(const Activation& act, float* y, std::int64_t y_pixel, std::int64_t count, std::int64_t c) {
  for (std::int64_t j = 0; act.kind != ActivationKind::none && j < count; ++j, y += y_pixel) activate_run(act, y, y, c);
}

Packed as_it_is(CpuBackend& backend, const Operand& o) {
  return packed(backend, o, "it is", o.desc.elements(),
                [n = o.desc.elements()](const float* from, float* to) { std::copy_n(from, n, to); });
}

// sum[c] += the pixels of a row. A row is summed in float, rows in double: short sums lose little.
FATHOM_CLONES void add_row(const float* x, std::int64_t x_pixel, std::int64_t w, std::int64_t c, float* __restrict row,
                           double* __restrict sum) {
  for (std::int64_t q = 0; q < c; ++q) row[q] = 0;
  for (std::int64_t j = 0; j < w; ++j)
    for (std::int64_t q = 0; q < c; ++q) row[q] += x[j * x_pixel + q];
  for (std::int64_t q = 0; q < c; ++q) sum[q] += double(row[q]);
}

FATHOM_CLONES float dot(const float* a, const float* b, std::int64_t count) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t k = 0; k < count; ++k) sum += a[k] * b[k];
  return sum;
}

}  // namespace

Step prepare(const Pool& op, const NodeIo& io, CpuBackend& backend) {
  expect_channels_last(io.out.desc, io.out.name);
  Step step = describe(op, io);
  step.kernel = "vector loop";
  const Desc &x = io.in[0].desc, &y = io.out.desc;
  const Padding& p = op.padding;
  step.run = [in = Input(io.in[0], backend), out = io.out, kind = op.kind, act = op.activation,
              weight = op.affine ? as_it_is(backend, io.in[1]) : nullptr,
              bias = op.affine ? as_it_is(backend, io.in[2]) : nullptr, threads = backend.threads(),
              rows = windows(x.h(), y.h(), op.kernel.h, op.stride.h, p.top, p.bottom, op.count_include_pad),
              columns = windows(x.w(), y.w(), op.kernel.w, op.stride.w, p.left, p.right, op.count_include_pad)](
                 const RunArgs& args) {
    const View<const float, 4> x = in.view(args);
    const View<float, 4> y = args.view<float>(out);
    const std::int64_t h = y.extent[2];
    parallel_for(threads, y.extent[0] * h, [&](std::int64_t row, int) {
      const std::int64_t n = row / h, i = row % h, w = y.extent[3], c = y.extent[1];
      float* const to = &y(n, 0, i, 0);
      pool_row(kind, &x(n, 0, 0, 0), x.stride[2], x.stride[3], rows[static_cast<std::size_t>(i)], columns.data(), w, to,
               y.stride[3], c);
      if (weight) scale_row(weight.get(), bias.get(), to, y.stride[3], w, c);
      activate_row(act, to, y.stride[3], w, c);
    });
  };
  return step;
}

// Some channels at a time, so that the maps between are small and near: stage by stage, each from one half of the
// workspace to the other; y holds the sum.
Step prepare(const PoolChain& op, const NodeIo& io, CpuBackend& backend) {
  expect_channels_last(io.out.desc, io.out.name);
  Step step = describe(op, io);
  step.kernel = "vector loops, stage by stage";
  constexpr std::int64_t most = 128;
  const std::int64_t c = io.out.desc.c(), h = io.out.desc.h(), w = io.out.desc.w(), slab = std::min(c, most);
  step.workspace_bytes = 2 * h * w * slab * 4;
  const int reach = op.kernel / 2;
  step.run = [in = Input(io.in[0], backend), out = io.out, c, h, w, slab, op, weight = as_it_is(backend, io.in[1]),
              threads = backend.threads(), rows = windows(h, h, op.kernel, 1, reach, reach, false),
              columns = windows(w, w, op.kernel, 1, reach, reach, false)](const RunArgs& args) {
    const View<const float, 4> x = in.view(args);
    const View<float, 4> y = args.view<float>(out);
    float* const halves[] = {reinterpret_cast<float*>(args.workspace),
                             reinterpret_cast<float*>(args.workspace) + h * w * slab};
    for (std::int64_t part = 0, parts = (c + slab - 1) / slab; part < y.extent[0] * parts; ++part) {
      const std::int64_t n = part / parts, first = part % parts * slab, count = std::min(slab, c - first);
      const float* from = &x(n, first, 0, 0);
      std::int64_t from_row = x.stride[2], from_pixel = x.stride[3];
      for (int k = 0; k <= op.stages; ++k) {
        parallel_for(threads, h, [&](std::int64_t i, int) {
          float* const sum = &y(n, first, i, 0);
          if (k == 0) {
            for (std::int64_t j = 0; j < w; ++j)
              std::copy_n(from + i * from_row + j * from_pixel, count, sum + j * y.stride[3]);
            return;
          }
          float* const to = halves[k % 2] + i * w * slab;
          pool_row(PoolKind::max, from, from_row, from_pixel, rows[static_cast<std::size_t>(i)], columns.data(), w, to,
                   slab, count);
          scale_row(weight.get() + k * c + first, nullptr, to, slab, w, count);
          add_to_row(to, slab, sum, y.stride[3], w, count);
          if (k < op.stages) return;
          scale_row(weight.get() + first, nullptr, sum, y.stride[3], w, count);
          activate_row(op.activation, sum, y.stride[3], w, count);
        });
        if (k > 0) from = halves[k % 2], from_row = w * slab, from_pixel = slab;
      }
    }
  };
  return step;
}

Step prepare(const GlobalMean& op, const NodeIo& io, CpuBackend& backend) {
  expect_channels_last(io.out.desc, io.out.name);
  Step step = describe(op, io);
  step.kernel = "row sums";
  // Blocks of rows are summed side by side, then added in order: the same bits for any number of threads.
  constexpr std::int64_t block = 8;
  const Desc& d = io.in[0].desc;
  const std::int64_t c = d.c(), h = d.h(), w = d.w(), blocks = (h + block - 1) / block;
  step.workspace_bytes = d.n() * blocks * c * 12;  // for each block of rows c sums in double and c of one row in float
  step.run = [in = Input(io.in[0], backend), out = io.out, c, h, w, blocks,
              threads = backend.threads()](const RunArgs& args) {
    const View<const float, 4> x = in.view(args);
    const View<float, 4> y = args.view<float>(out);
    double* sums = reinterpret_cast<double*>(args.workspace);
    float* row_sums = reinterpret_cast<float*>(sums + x.extent[0] * blocks * c);
    parallel_for(threads, x.extent[0] * blocks, [&](std::int64_t k, int) {
      const std::int64_t n = k / blocks, first = k % blocks * block;
      std::fill_n(sums + k * c, c, 0.0);
      for (std::int64_t i = first; i < std::min(h, first + block); ++i)
        add_row(&x(n, 0, i, 0), x.stride[3], w, c, row_sums + k * c, sums + k * c);
    });
    for (std::int64_t n = 0; n < x.extent[0]; ++n)
      for (std::int64_t q = 0; q < c; ++q) {
        double sum = 0;
        for (std::int64_t k = 0; k < blocks; ++k) sum += sums[(n * blocks + k) * c + q];
        y(n, q, 0, 0) = static_cast<float>(sum / static_cast<double>(h * w));
      }
  };
  return step;
}

Step prepare(const Linear& op, const NodeIo& io, CpuBackend& backend) {
  expect_channels_last(io.out.desc, io.out.name);
  Step step = describe(op, io);
  step.kernel = "dot products";
  step.run = [in = Input(io.in[0], backend), out = io.out, act = op.activation, weight = as_it_is(backend, io.in[1]),
              bias = op.bias ? as_it_is(backend, io.in[2]) : nullptr,
              threads = backend.threads()](const RunArgs& args) {
    const View<const float, 4> x = in.view(args);
    const View<float, 4> y = args.view<float>(out);
    const std::int64_t c = x.extent[1], outputs = y.extent[1];
    const bool worth_threads = c * outputs > 65536;
    for (std::int64_t n = 0; n < x.extent[0]; ++n) {
      parallel_for(worth_threads ? threads : 1, outputs, [&](std::int64_t o, int) {
        y(n, o, 0, 0) = dot(&x(n, 0, 0, 0), weight.get() + o * c, c) + (bias ? bias.get()[o] : 0);
      });
      activate_run(act, &y(n, 0, 0, 0), &y(n, 0, 0, 0), outputs);
    }
  };
  return step;
}

}  // namespace fathom
