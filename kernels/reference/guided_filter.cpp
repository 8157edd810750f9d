// A = (mean(x y) - mean(x) mean(y)) / (mean(x^2) - mean(x)^2 + eps);  b = mean(y) - A mean(x)
// out = up(A) X + up(b), up = bilinear with align_corners
#include "kernels/reference/box_filter.hpp"
#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"
#include "kernels/reference/sampling.hpp"

namespace fathom {

Step prepare(const GuidedFilter& op, const NodeIo& io, ReferenceBackend&) {
  using namespace reference;
  Step step = begin(op, io);
  const Desc low = io.in[0].desc;
  const Desc one_map = Desc::dense({1, 1, low.h(), low.w()});
  const MapTaps taps = taps_of({.mode = ResizeMode::bilinear, .align_corners = true}, low, io.out.desc);
  step.workspace_bytes = 2 * one_map.elements() * static_cast<std::int64_t>(sizeof(double));

  step.run = [=, signal = Input(io.in[0]), guide = Input(io.in[1]), full_guide = Input(io.in[2]),
              out = io.out](const RunArgs& args) {
    const View<const float, 4> y = signal(args), x = guide(args), full = full_guide(args);
    const View<float, 4> z = args.view<float>(out);
    const std::int64_t h = y.extent[2], w = y.extent[3];
    const View<double, 4> A = view<double>(one_map, args.workspace);  // (1, 1, h, w), of one channel at a time
    const View<double, 4> b = view<double>(one_map, A.data + h * w);
    for (std::int64_t n = 0; n < z.extent[0]; ++n)
      for (std::int64_t c = 0; c < z.extent[1]; ++c) {
        for (std::int64_t i = 0; i < h; ++i)
          for (std::int64_t j = 0; j < w; ++j) {
            const auto mean = [&](auto f) { return box_mean(h, w, i, j, op.radius, f); };
            const auto xs = [&](auto p, auto q) { return static_cast<double>(x(n, 0, p, q)); };
            const auto ys = [&](auto p, auto q) { return static_cast<double>(y(n, c, p, q)); };
            const double mean_x = mean(xs), mean_y = mean(ys);
            const double mean_xy = mean([&](auto p, auto q) { return xs(p, q) * ys(p, q); });
            const double mean_xx = mean([&](auto p, auto q) { return xs(p, q) * xs(p, q); });
            A(0, 0, i, j) = (mean_xy - mean_x * mean_y) / (mean_xx - mean_x * mean_x + op.eps);
            b(0, 0, i, j) = mean_y - A(0, 0, i, j) * mean_x;
          }
        for (std::int64_t i = 0; i < z.extent[2]; ++i)
          for (std::int64_t j = 0; j < z.extent[3]; ++j) {
            const Tap &row = taps.rows[static_cast<std::size_t>(i)], &col = taps.cols[static_cast<std::size_t>(j)];
            z(n, c, i, j) =
                static_cast<float>(sample(A, 0, 0, row, col) * full(n, 0, i, j) + sample(b, 0, 0, row, col));
          }
      }
  };
  return step;
}

}  // namespace fathom
