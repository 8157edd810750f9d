// y = act(a + b + ...)
#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"

namespace fathom {

Step prepare(const Add& op, const NodeIo& io, ReferenceBackend&) {
  Step step = reference::begin(op, io, reference::Reuse::same_element);
  std::vector<reference::Input> inputs;
  for (const Operand& x : io.in) inputs.emplace_back(x);
  step.run = [op, inputs, out = io.out](const RunArgs& args) {
    std::vector<View<const float, 4>> maps;
    for (const reference::Input& x : inputs) maps.push_back(x(args));
    const View<float, 4> y = args.view<float>(out);
    reference::for_each(out.desc, [&](auto n, auto c, auto i, auto j) {
      double sum = 0;
      for (const View<const float, 4>& x : maps) sum += x(n, c, i, j);
      y(n, c, i, j) = static_cast<float>(reference::apply(op.activation, sum));
    });
  };
  return step;
}

}  // namespace fathom
