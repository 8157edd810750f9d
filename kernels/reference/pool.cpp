// max: y = the largest x of the window, padding counts as -inf
// average: y = sum of the window / its cells inside the input, or with count_include_pad inside the padded input
// then y = act(weight[c] y + bias[c])
#include <algorithm>
#include <limits>

#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"

namespace fathom {

Step prepare(const Pool& op, const NodeIo& io, ReferenceBackend&) {
  Step step = reference::begin(op, io);
  step.run = [op, data = reference::Input(io.in[0]), weight_in = reference::Input(op.affine ? &io.in[1] : nullptr),
              bias_in = reference::Input(op.affine ? &io.in[2] : nullptr), out = io.out](const RunArgs& args) {
    const View<const float, 4> x = data(args), weight = weight_in(args), bias = bias_in(args);
    const View<float, 4> y = args.view<float>(out);
    const std::int64_t h = x.extent[2], w = x.extent[3];
    reference::for_each(out.desc, [&](auto n, auto c, auto i, auto j) {
      const std::int64_t top = i * op.stride.h - op.padding.top, left = j * op.stride.w - op.padding.left;
      const std::int64_t padded_rows = std::min(top + op.kernel.h, h + op.padding.bottom) - top;
      const std::int64_t padded_cols = std::min(left + op.kernel.w, w + op.padding.right) - left;
      const std::int64_t first_row = std::max<std::int64_t>(top, 0), last_row = std::min(top + op.kernel.h, h);
      const std::int64_t first_col = std::max<std::int64_t>(left, 0), last_col = std::min(left + op.kernel.w, w);
      double largest = -std::numeric_limits<double>::infinity(), sum = 0;
      for (std::int64_t a = first_row; a < last_row; ++a)
        for (std::int64_t b = first_col; b < last_col; ++b) {
          const double value = x(n, c, a, b);
          if (value > largest || std::isnan(value)) largest = value;  // a NaN stays
          sum += value;
        }
      const std::int64_t cells =
          op.count_include_pad ? padded_rows * padded_cols : (last_row - first_row) * (last_col - first_col);
      double value = op.kind == PoolKind::max ? largest : sum / static_cast<double>(cells);
      if (op.affine) value = weight(c, 0, 0, 0) * value + bias(c, 0, 0, 0);
      y(n, c, i, j) = static_cast<float>(reference::apply(op.activation, value));
    });
  };
  return step;
}

}  // namespace fathom
