// y = act(w[0] (t_0 + t_1 + ... )), t_0 = x, t_k = w[k] times the largest of t_(k-1) in the window round each pixel
#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"

namespace fathom {

namespace {

// One channel of one image, (h, w).
struct Plane {
  std::int64_t h, w;
  std::vector<double> values;
  double& at(std::int64_t i, std::int64_t j) { return values[static_cast<std::size_t>(i * w + j)]; }
};

double largest_round(Plane& t, std::int64_t i, std::int64_t j, std::int64_t reach) {
  double largest = -std::numeric_limits<double>::infinity();
  for (std::int64_t a = std::max<std::int64_t>(i - reach, 0); a <= std::min(i + reach, t.h - 1); ++a)
    for (std::int64_t b = std::max<std::int64_t>(j - reach, 0); b <= std::min(j + reach, t.w - 1); ++b)
      if (t.at(a, b) > largest || std::isnan(t.at(a, b))) largest = t.at(a, b);  // a NaN stays
  return largest;
}

}  // namespace

Step prepare(const PoolChain& op, const NodeIo& io, ReferenceBackend&) {
  Step step = reference::begin(op, io);
  step.run = [op, data = reference::Input(io.in[0]), weight_in = reference::Input(io.in[1]),
              out = io.out](const RunArgs& args) {
    const View<const float, 4> x = data(args), w = weight_in(args);
    const View<float, 4> y = args.view<float>(out);
    const std::int64_t height = x.extent[2], width = x.extent[3];
    const auto pixels = static_cast<std::size_t>(height * width);
    for (std::int64_t n = 0; n < x.extent[0]; ++n)
      for (std::int64_t c = 0; c < x.extent[1]; ++c) {
        Plane t{height, width, std::vector<double>(pixels)}, next = t, sum = t;
        const auto each = [&](auto f) {
          for (std::int64_t i = 0; i < height; ++i)
            for (std::int64_t j = 0; j < width; ++j) f(i, j);
        };
        each([&](auto i, auto j) { sum.at(i, j) = t.at(i, j) = x(n, c, i, j); });
        for (int k = 1; k <= op.stages; ++k) {
          each([&](auto i, auto j) { next.at(i, j) = w(k, c, 0, 0) * largest_round(t, i, j, op.kernel / 2); });
          each([&](auto i, auto j) { sum.at(i, j) += next.at(i, j); });
          std::swap(t, next);
        }
        each([&](auto i, auto j) {
          y(n, c, i, j) = static_cast<float>(reference::apply(op.activation, w(0, c, 0, 0) * sum.at(i, j)));
        });
      }
  };
  return step;
}

}  // namespace fathom
