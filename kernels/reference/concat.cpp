// y = the inputs one after the other along channels
#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"

namespace fathom {

Step prepare(const Concat& op, const NodeIo& io, ReferenceBackend&) {
  Step step = reference::begin(op, io);
  std::vector<reference::Input> inputs(io.in.begin(), io.in.end());
  step.run = [inputs, in = io.input_descs(), out = io.out](const RunArgs& args) {
    const View<float, 4> y = args.view<float>(out);
    std::int64_t first_channel = 0;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      const View<const float, 4> x = inputs[k](args);
      reference::for_each(in[k],
                          [&](auto n, auto c, auto i, auto j) { y(n, first_channel + c, i, j) = x(n, c, i, j); });
      first_channel += in[k].c();
    }
  };
  return step;
}

}  // namespace fathom
