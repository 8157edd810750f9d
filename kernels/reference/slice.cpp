// y = x[begin, begin + count) along one axis
#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"

namespace fathom {

Step prepare(const Slice& op, const NodeIo& io, ReferenceBackend&) {
  Step step = reference::begin(op, io);
  step.run = [op, data = reference::Input(io.in[0]), out = io.out](const RunArgs& args) {
    View<const float, 4> x = data(args);
    x.data += op.begin * x.stride[op.axis];  // the first element kept
    const View<float, 4> y = args.view<float>(out);
    reference::for_each(out.desc, [&](auto n, auto c, auto i, auto j) { y(n, c, i, j) = x(n, c, i, j); });
  };
  return step;
}

}  // namespace fathom
