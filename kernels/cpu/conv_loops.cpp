// The general convolution: each thread gathers the padded rows under a few output rows, then runs vector loops over
// them.
#include <algorithm>

#include "kernels/cpu/conv.hpp"
#include "kernels/cpu/direct.hpp"

namespace fathom::cpu {

void build_loops(const ConvTask& task, Step& step) {
  const Desc& y = task.io.out.desc;
  const int threads = task.backend.threads();
  const std::int64_t row_floats = task.padded_w() * task.c;
  // Rows of output at a time: their input stays in the second cache, and every thread gets some.
  constexpr std::int64_t cache_floats = 65536;
  std::int64_t strip = std::max<std::int64_t>(1, (y.h() + threads - 1) / threads);
  while (strip > 1 && task.rows_under(strip) * row_floats > cache_floats) strip = (strip + 1) / 2;
  const std::int64_t strips = (y.h() + strip - 1) / strip;
  const std::int64_t own = (task.rows_under(strip) * row_floats * 4 + 63) / 64 * 64;
  step.workspace_bytes = threads * own;

  const DirectConv conv(task.role.weight, task.role.bias, task.op.groups, task.op.stride, task.op.dilation,
                        task.op.activation, task.backend);
  std::vector<Input> residual;
  if (task.role.residual) residual.emplace_back(*task.role.residual, task.backend);
  step.run = [input = GatheredInput(task), conv, residual, out = task.io.out, op = task.op, strip, strips, own,
              row_floats, rows = task.rows_under(strip), padded_h = task.padded_h(), c = task.c,
              threads](const RunArgs& args) {
    const View<float, 4> y = args.view<float>(out);
    parallel_for(threads, y.extent[0] * strips, [&](std::int64_t k, int thread) {
      const std::int64_t n = k / strips, first = k % strips * strip, last = std::min(y.extent[2], first + strip);
      float* x = reinterpret_cast<float*>(args.workspace + thread * own);
      const std::int64_t from = first * op.stride.h;
      for (std::int64_t i = 0; i < rows && from + i < padded_h; ++i) input.read(args, n, from + i, x + i * row_floats);
      for (std::int64_t i = first; i < last; ++i) {
        DirectRow row{x + (i - first) * op.stride.h * row_floats,
                      row_floats,
                      c,
                      &y(n, 0, i, 0),
                      y.stride[3],
                      y.extent[3],
                      nullptr,
                      0};
        if (!residual.empty()) {
          const View<const float, 4> r = residual[0].view(args);
          row.residual = &r(n, 0, i, 0), row.residual_pixel = r.stride[3];
        }
        conv.run(row);
      }
    });
  };
}

}  // namespace fathom::cpu
