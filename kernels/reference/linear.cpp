// y = act(x W^T + b)
#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"

namespace fathom {

Step prepare(const Linear& op, const NodeIo& io, ReferenceBackend&) {
  Step step = reference::begin(op, io);
  step.run = [op, data = reference::Input(io.in[0]), weight = reference::Input(io.in[1]),
              bias = reference::Input(op.bias ? &io.in[2] : nullptr), out = io.out](const RunArgs& args) {
    const View<const float, 4> x = data(args), w = weight(args), b = bias(args);
    const View<float, 4> y = args.view<float>(out);
    for (std::int64_t n = 0; n < y.extent[0]; ++n)
      for (std::int64_t o = 0; o < y.extent[1]; ++o) {
        double sum = bias ? b(o, 0, 0, 0) : 0;
        for (std::int64_t c = 0; c < x.extent[1]; ++c) sum += static_cast<double>(w(o, c, 0, 0)) * x(n, c, 0, 0);
        y(n, o, 0, 0) = static_cast<float>(reference::apply(op.activation, sum));
      }
  };
  return step;
}

}  // namespace fathom
