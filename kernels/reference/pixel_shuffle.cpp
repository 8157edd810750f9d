// y(n, c, h f + i, w f + j) = x(n, c f^2 + i f + j, h, w)
#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"

namespace fathom {

Step prepare(const PixelShuffle& op, const NodeIo& io, ReferenceBackend&) {
  Step step = reference::begin(op, io);
  step.run = [f = op.factor, data = reference::Input(io.in[0]), out = io.out](const RunArgs& args) {
    const View<const float, 4> x = data(args);
    const View<float, 4> y = args.view<float>(out);
    reference::for_each(out.desc, [&](auto n, auto c, auto h, auto w) {
      y(n, c, h, w) = x(n, c * f * f + (h % f) * f + w % f, h / f, w / f);
    });
  };
  return step;
}

}  // namespace fathom
