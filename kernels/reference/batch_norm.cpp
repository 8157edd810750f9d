// y = act((x - mean[c]) / sqrt(var[c] + eps) * weight[c] + bias[c])
#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"

namespace fathom {

Step prepare(const BatchNorm& op, const NodeIo& io, ReferenceBackend&) {
  Step step = reference::begin(op, io, reference::Reuse::same_element);
  using reference::Input;
  step.run = [op, data = Input(io.in[0]), weight = Input(io.in[1]), bias = Input(io.in[2]),
              running_mean = Input(io.in[3]), running_var = Input(io.in[4]), out = io.out](const RunArgs& args) {
    const View<const float, 4> x = data(args), w = weight(args), b = bias(args), mean = running_mean(args),
                               var = running_var(args);
    const View<float, 4> y = args.view<float>(out);
    reference::for_each(out.desc, [&](auto n, auto c, auto i, auto j) {
      const double centred = static_cast<double>(x(n, c, i, j)) - mean(c, 0, 0, 0);
      const double normal = centred / std::sqrt(static_cast<double>(var(c, 0, 0, 0)) + op.eps);
      y(n, c, i, j) = static_cast<float>(reference::apply(op.activation, normal * w(c, 0, 0, 0) + b(c, 0, 0, 0)));
    });
  };
  return step;
}

}  // namespace fathom
