// y = f(x)
#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"

namespace fathom {

Step prepare(const Activation& op, const NodeIo& io, ReferenceBackend&) {
  Step step = reference::begin(op, io, reference::Reuse::same_element);
  step.run = [op, data = reference::Input(io.in[0]), out = io.out](const RunArgs& args) {
    const View<const float, 4> x = data(args);
    const View<float, 4> y = args.view<float>(out);
    reference::for_each(out.desc, [&](auto n, auto c, auto i, auto j) {
      y(n, c, i, j) = static_cast<float>(reference::apply(op, x(n, c, i, j)));
    });
  };
  return step;
}

}  // namespace fathom
