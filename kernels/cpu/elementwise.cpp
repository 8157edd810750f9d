// Activation, Add, Multiply, Affine, BatchNorm, Preprocess and DisparityToDepth: one pass over memory each. All may run
// in place: an output is written only where its own inputs were read.
#include <cmath>

#include "kernels/cpu/input.hpp"
#include "kernels/cpu/kernels.hpp"
#include "kernels/cpu/simd.hpp"

namespace fathom {

namespace cpu {

namespace {

// y[i] = f(i); in-place use makes y an alias of an input at the same i, which simd loops allow.
template <class F>
FATHOM_INLINE void each(float* y, std::int64_t count, F f) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = f(i);
}

}  // namespace

FATHOM_CLONES void activate_run(const Activation& act, const float* x, float* y, std::int64_t count) {
  with_activation(act, [&](auto f) { each(y, count, [=](std::int64_t i) { return f(x[i]); }); });
}

}  // namespace cpu

using namespace cpu;

namespace {

FATHOM_CLONES void add_run(const Activation& act, const float* a, const float* b, float* y, std::int64_t count) {
  with_activation(act, [&](auto f) { each(y, count, [=](std::int64_t i) { return f(a[i] + b[i]); }); });
}

FATHOM_CLONES void multiply_run(const Activation& act, const float* a, const float* b, float* y, std::int64_t count) {
  with_activation(act, [&](auto f) { each(y, count, [=](std::int64_t i) { return f(a[i] * b[i]); }); });
}

FATHOM_CLONES void scale_run(const Activation& act, const float* a, float b, float* y, std::int64_t count) {
  with_activation(act, [&](auto f) { each(y, count, [=](std::int64_t i) { return f(a[i] * b); }); });
}

FATHOM_CLONES void affine_run(float scale, float shift, const float* x, float* y, std::int64_t count) {
  each(y, count, [=](std::int64_t i) { return scale * x[i] + shift; });
}

// The factors change from element to element: per channel, repeated along a row.
FATHOM_CLONES void affine_table_run(const float* scale, const float* shift, const float* x, float* y,
                                    std::int64_t count) {
  each(y, count, [=](std::int64_t i) { return x[i] * scale[i] + shift[i]; });
}

FATHOM_CLONES void affine_table_run(const float* scale, const float* shift, const std::uint8_t* x, float* y,
                                    std::int64_t count) {
  each(y, count, [=](std::int64_t i) { return static_cast<float>(x[i]) * scale[i] + shift[i]; });
}

FATHOM_CLONES void depth_run(float nearest, float range, const float* x, float* y, std::int64_t count) {
  each(y, count, [=](std::int64_t i) { return 1 / (nearest + range * x[i]); });
}

// Runs kernel(x, y, count) over a map.
template <class F>
Step unary(const Op& op, const NodeIo& io, CpuBackend& backend, F kernel) {
  expect_channels_last(io.out.desc, io.out.name);
  Step step = describe(op, io);
  step.kernel = "vector loop";
  step.run = [x = Input(io.in[0], backend), out = io.out, threads = backend.threads(), kernel](const RunArgs& args) {
    for_runs<1>(threads, args.view<float>(out), {x.view(args)},
                [&](float* y, const auto& at, std::int64_t count) { kernel(at[0], y, count); });
  };
  return step;
}

// A value per channel, repeated over a row of pixels, so that rows are one long loop.
Packed along_row(const std::vector<float>& per_channel, std::int64_t width) {
  auto buffer = std::make_shared<Buffer>(static_cast<std::int64_t>(per_channel.size()) * width * 4);
  float* at = buffer->as<float>();
  for (std::int64_t w = 0; w < width; ++w) at = std::copy(per_channel.begin(), per_channel.end(), at);
  return {buffer, buffer->as<float>()};
}

// y = act(scale[c] x + shift[c]), from any element type.
template <class T>
void affine_rows(int threads, const View<float, 4>& y, const View<const T, 4>& x, const float* scale,
                 const float* shift, const Activation& act) {
  const std::int64_t c = y.extent[1], h = y.extent[2], w = y.extent[3];
  const bool rows = rows_dense(x) && rows_dense(y);
  parallel_for(threads, y.extent[0] * h, [&](std::int64_t row, int) {
    const std::int64_t n = row / h, i = row % h;
    for (std::int64_t j = 0; j < (rows ? 1 : w); ++j) {
      const std::int64_t count = rows ? w * c : c;
      affine_table_run(scale, shift, &x(n, 0, i, j), &y(n, 0, i, j), count);
      if (act.kind != ActivationKind::none) activate_run(act, &y(n, 0, i, j), &y(n, 0, i, j), count);
    }
  });
}

}  // namespace

Step prepare(const Activation& op, const NodeIo& io, CpuBackend& backend) {
  return unary(op, io, backend, [op](const float* x, float* y, std::int64_t count) { activate_run(op, x, y, count); });
}

Step prepare(const Affine& op, const NodeIo& io, CpuBackend& backend) {
  return unary(op, io, backend,
               [op](const float* x, float* y, std::int64_t count) { affine_run(op.scale, op.shift, x, y, count); });
}

Step prepare(const DisparityToDepth& op, const NodeIo& io, CpuBackend& backend) {
  const double far = 1.0 / op.max_depth, range = 1.0 / op.min_depth - far;
  return unary(op, io, backend, [far = float(far), range = float(range)](const float* x, float* y, std::int64_t count) {
    depth_run(far, range, x, y, count);
  });
}

Step prepare(const Add& op, const NodeIo& io, CpuBackend& backend) {
  expect_channels_last(io.out.desc, io.out.name);
  Step step = describe(op, io);
  step.kernel = "vector loop";
  std::vector<Input> inputs;
  for (const Operand& x : io.in) inputs.emplace_back(x, backend);
  step.run = [inputs, out = io.out, act = op.activation, threads = backend.threads()](const RunArgs& args) {
    const View<float, 4> y = args.view<float>(out);
    View<const float, 4> sum = inputs[0].view(args);
    for (std::size_t k = 1; k < inputs.size(); ++k, sum = fathom::view<const float>(out.desc, y.data)) {
      const Activation f = k + 1 < inputs.size() ? Activation{} : act;
      for_runs<2>(threads, y, {sum, inputs[k].view(args)},
                  [&](float* to, const auto& x, std::int64_t count) { add_run(f, x[0], x[1], to, count); });
    }
  };
  return step;
}

Step prepare(const Multiply& op, const NodeIo& io, CpuBackend& backend) {
  expect_channels_last(io.out.desc, io.out.name);
  Step step = describe(op, io);
  const Desc &da = io.in[0].desc, &db = io.in[1].desc;
  const Input a(io.in[0], backend), b(io.in[1], backend);
  if (da.same_extents(db)) {
    step.kernel = "vector loop";
    step.run = [a, b, out = io.out, act = op.activation, threads = backend.threads()](const RunArgs& args) {
      for_runs<2>(threads, args.view<float>(out), {a.view(args), b.view(args)},
                  [&](float* y, const auto& x, std::int64_t count) { multiply_run(act, x[0], x[1], y, count); });
    };
    return step;
  }
  step.kernel = "vector loop, second input repeated";
  step.run = [a, b, out = io.out, act = op.activation, threads = backend.threads()](const RunArgs& args) {
    const View<const float, 4> x = a.view(args);
    View<const float, 4> g = b.view(args);
    for (int r = 0; r < 4; ++r)
      if (g.extent[r] == 1) g.stride[r] = 0;
    const View<float, 4> y = args.view<float>(out);
    const std::int64_t c = y.extent[1], h = y.extent[2], w = y.extent[3];
    const bool per_channel = g.extent[1] == c && c > 1;
    parallel_for(threads, y.extent[0] * h, [&](std::int64_t row, int) {
      const std::int64_t n = row / h, i = row % h;
      for (std::int64_t j = 0; j < w; ++j) {
        const float* factor = &g(n, 0, i, j);
        if (per_channel) {
          multiply_run(act, &x(n, 0, i, j), factor, &y(n, 0, i, j), c);
        } else {
          scale_run(act, &x(n, 0, i, j), *factor, &y(n, 0, i, j), c);
        }
      }
    });
  };
  return step;
}

Step prepare(const BatchNorm& op, const NodeIo& io, CpuBackend& backend) {
  expect_channels_last(io.out.desc, io.out.name);
  Step step = describe(op, io);
  step.kernel = "vector loop";
  const auto weight = constant_values(io.in[1]), bias = constant_values(io.in[2]);
  const auto mean = constant_values(io.in[3]), variance = constant_values(io.in[4]);
  std::vector<float> scale, shift;
  for (std::int64_t c = 0; c < io.out.desc.c(); ++c) {
    const double s = double(weight[c]) / std::sqrt(double(variance[c]) + double(op.eps));
    scale.push_back(static_cast<float>(s)), shift.push_back(static_cast<float>(double(bias[c]) - s * double(mean[c])));
  }
  const std::int64_t width = io.out.desc.w();
  step.run = [x = Input(io.in[0], backend), out = io.out, scale = along_row(scale, width),
              shift = along_row(shift, width), act = op.activation, threads = backend.threads()](const RunArgs& args) {
    affine_rows(threads, args.view<float>(out), x.view(args), scale.get(), shift.get(), act);
  };
  return step;
}

Step prepare(const Preprocess& op, const NodeIo& io, CpuBackend& backend) {
  expect_channels_last(io.out.desc, io.out.name);
  expect_channels_last(io.in[0].desc, io.in[0].name);
  Step step = describe(op, io);
  step.kernel = "vector loop";
  std::vector<float> scale, shift;
  for (std::size_t c = 0; c < static_cast<std::size_t>(io.out.desc.c()); ++c) {
    const double std = op.std[op.std.size() == 1 ? 0 : c], mean = op.mean[op.mean.size() == 1 ? 0 : c];
    scale.push_back(static_cast<float>(1 / (255 * std))), shift.push_back(static_cast<float>(-mean / std));
  }
  const std::int64_t width = io.out.desc.w();
  step.run = [in = io.in[0], out = io.out, scale = along_row(scale, width), shift = along_row(shift, width),
              threads = backend.threads()](const RunArgs& args) {
    const View<float, 4> y = args.view<float>(out);
    if (in.desc.dtype == DType::u8) {
      affine_rows(threads, y, args.view<const std::uint8_t>(in), scale.get(), shift.get(), {});
    } else {
      affine_rows(threads, y, args.view<const float>(in), scale.get(), shift.get(), {});
    }
  };
  return step;
}

}  // namespace fathom
