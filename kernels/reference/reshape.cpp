// y = the elements of x in N, C, H, W order, cut anew per image
#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"

namespace fathom {

Step prepare(const Reshape& op, const NodeIo& io, ReferenceBackend&) {
  Step step = reference::begin(op, io);
  step.run = [data = reference::Input(io.in[0]), out = io.out](const RunArgs& args) {
    const View<const float, 4> x = data(args);
    const View<float, 4> y = args.view<float>(out);
    const std::int64_t x_h = x.extent[2], x_w = x.extent[3], y_h = y.extent[2], y_w = y.extent[3];
    reference::for_each(out.desc, [&](auto n, auto c, auto i, auto j) {
      const std::int64_t k = (c * y_h + i) * y_w + j;  // of the image's elements, in C, H, W order
      y(n, c, i, j) = x(n, k / (x_h * x_w), k / x_w % x_h, k % x_w);
    });
  };
  return step;
}

}  // namespace fathom
