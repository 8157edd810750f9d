// y = mean of x over the (2 radius + 1)^2 window, clipped at the borders and divided by the cells that remain
#include "kernels/reference/box_filter.hpp"

#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"

namespace fathom {

Step prepare(const BoxFilter& op, const NodeIo& io, ReferenceBackend&) {
  Step step = reference::begin(op, io);
  step.run = [op, data = reference::Input(io.in[0]), out = io.out](const RunArgs& args) {
    const View<const float, 4> x = data(args);
    const View<float, 4> y = args.view<float>(out);
    reference::for_each(out.desc, [&](auto n, auto c, auto i, auto j) {
      y(n, c, i, j) = static_cast<float>(reference::box_mean(x.extent[2], x.extent[3], i, j, op.radius,
                                                             [&](auto a, auto b) { return x(n, c, a, b); }));
    });
  };
  return step;
}

}  // namespace fathom
