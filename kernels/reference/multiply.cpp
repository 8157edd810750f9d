// y = act(a * b), b repeated along the axes where its extent is 1
#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"

namespace fathom {

Step prepare(const Multiply& op, const NodeIo& io, ReferenceBackend&) {
  const bool repeats =
      io.in_place == 1 && !io.in[1].desc.same_extents(io.out.desc);  // then b is read after y covers it
  Step step = reference::begin(op, io, repeats ? reference::Reuse::none : reference::Reuse::same_element);
  step.run = [op, first = reference::Input(io.in[0]), second = reference::Input(io.in[1]),
              out = io.out](const RunArgs& args) {
    const View<const float, 4> a = first(args);
    View<const float, 4> b = second(args);
    const View<float, 4> y = args.view<float>(out);
    for (int r = 0; r < 4; ++r)
      if (b.extent[r] == 1) b.stride[r] = 0;
    reference::for_each(out.desc, [&](auto n, auto c, auto i, auto j) {
      const double product = static_cast<double>(a(n, c, i, j)) * b(n, c, i, j);
      y(n, c, i, j) = static_cast<float>(reference::apply(op.activation, product));
    });
  };
  return step;
}

}  // namespace fathom
