// Concat, Slice, Reshape and PixelShuffle: the same numbers at other places.
#include <cstring>

#include "kernels/cpu/input.hpp"
#include "kernels/cpu/kernels.hpp"
#include "kernels/cpu/rows.hpp"
#include "kernels/cpu/simd.hpp"

namespace fathom {

using namespace cpu;

namespace {

// Copies a row of pixels from one map into another.
void copy_row(const View<const float, 4>& x, const View<float, 4>& y, std::int64_t n, std::int64_t xi,
              std::int64_t yi) {
  const std::int64_t c = x.extent[1], w = x.extent[3];
  if (rows_dense(x) && rows_dense(y)) {
    std::memcpy(&y(n, 0, yi, 0), &x(n, 0, xi, 0), static_cast<std::size_t>(w * c) * 4);
  } else {
    copy_pixels(&x(n, 0, xi, 0), x.stride[3], &y(n, 0, yi, 0), y.stride[3], w, c);
  }
}

// Copies a map into another of the same shape.
void copy_map(int threads, const View<const float, 4>& x, const View<float, 4>& y) {
  const std::int64_t h = x.extent[2];
  parallel_for(threads, x.extent[0] * h, [&](std::int64_t row, int) { copy_row(x, y, row / h, row % h, row % h); });
}

// y(h f + i, w f + j, c) = x(h, w, c f^2 + i f + j) for one row of y.
FATHOM_CLONES void shuffle_row(const float* x, std::int64_t x_pixel, float* y, std::int64_t y_pixel, std::int64_t w,
                               std::int64_t c, std::int64_t f, std::int64_t i) {
  for (std::int64_t k = 0; k < w; ++k)
    for (std::int64_t j = 0; j < f; ++j) {
      const float* from = x + k * x_pixel + i * f + j;
      float* to = y + (k * f + j) * y_pixel;
      for (std::int64_t q = 0; q < c; ++q) to[q] = from[q * f * f];
    }
}

}  // namespace

Step prepare(const Concat& op, const NodeIo& io, CpuBackend& backend) {
  expect_channels_last(io.out.desc, io.out.name);
  Step step = describe(op, io);
  step.kernel = "copy";
  std::vector<Input> in;
  for (const Operand& o : io.in) in.emplace_back(o, backend);
  step.run = [in, out = io.out, threads = backend.threads()](const RunArgs& args) {
    View<float, 4> part = args.view<float>(out);
    for (const Input& x : in) {
      part.extent[1] = x.desc().c();
      View<float, 4> y = part;
      copy_map(threads, x.view(args), y);
      part.data += x.desc().c();
    }
  };
  return step;
}

Step prepare(const Slice& op, const NodeIo& io, CpuBackend& backend) {
  expect_channels_last(io.out.desc, io.out.name);
  Step step = describe(op, io);
  step.kernel = "copy";
  step.run = [x = Input(io.in[0], backend), op, out = io.out, threads = backend.threads()](const RunArgs& args) {
    View<const float, 4> part = x.view(args);
    part.data += op.begin * part.stride[op.axis];
    part.extent[op.axis] = op.count;
    copy_map(threads, part, args.view<float>(out));
  };
  return step;
}

Step prepare(const Reshape& op, const NodeIo& io, CpuBackend& backend) {
  expect_channels_last(io.out.desc, io.out.name);
  Step step = describe(op, io);
  step.kernel = "copy";
  step.run = [x = Input(io.in[0], backend), out = io.out, threads = backend.threads()](const RunArgs& args) {
    const View<const float, 4> in = x.view(args);
    const View<float, 4> y = args.view<float>(out);
    const std::int64_t xh = in.extent[2], xw = in.extent[3], c = y.extent[1], h = y.extent[2], w = y.extent[3];
    parallel_for(threads, y.extent[0] * c, [&](std::int64_t plane, int) {
      const std::int64_t n = plane / c, q = plane % c;
      for (std::int64_t k = 0; k < h * w; ++k) {
        const std::int64_t from = q * h * w + k;  // position within the image in C, H, W order
        y(n, q, k / w, k % w) = in(n, from / (xh * xw), from / xw % xh, from % xw);
      }
    });
  };
  return step;
}

Step prepare(const PixelShuffle& op, const NodeIo& io, CpuBackend& backend) {
  expect_channels_last(io.out.desc, io.out.name);
  Step step = describe(op, io);
  step.kernel = "copy";
  step.run = [x = Input(io.in[0], backend), op, out = io.out, threads = backend.threads()](const RunArgs& args) {
    const View<const float, 4> in = x.view(args);
    const View<float, 4> y = args.view<float>(out);
    const std::int64_t h = y.extent[2], f = op.factor;
    parallel_for(threads, y.extent[0] * h, [&](std::int64_t row, int) {
      const std::int64_t n = row / h, i = row % h;
      shuffle_row(&in(n, 0, i / f, 0), in.stride[3], &y(n, 0, i, 0), y.stride[3], in.extent[3], y.extent[1], f, i % f);
    });
  };
  return step;
}

}  // namespace fathom
