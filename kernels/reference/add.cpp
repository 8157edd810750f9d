// y = act(a + b)
#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"

namespace fathom {

Step prepare(const Add& op, const NodeIo& io, ReferenceBackend&) {
  Step step = reference::begin(op, io, reference::Reuse::same_element);
  step.run = [op, first = reference::Input(io.in[0]), second = reference::Input(io.in[1]),
              out = io.out](const RunArgs& args) {
    const View<const float, 4> a = first(args), b = second(args);
    const View<float, 4> y = args.view<float>(out);
    reference::for_each(out.desc, [&](auto n, auto c, auto i, auto j) {
      const double sum = static_cast<double>(a(n, c, i, j)) + b(n, c, i, j);
      y(n, c, i, j) = static_cast<float>(reference::apply(op.activation, sum));
    });
  };
  return step;
}

}  // namespace fathom
