// y(n, c, 0, 0) = mean over h, w of x
#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"

namespace fathom {

Step prepare(const GlobalMean& op, const NodeIo& io, ReferenceBackend&) {
  Step step = reference::begin(op, io);
  step.run = [data = reference::Input(io.in[0]), out = io.out](const RunArgs& args) {
    const View<const float, 4> x = data(args);
    const View<float, 4> y = args.view<float>(out);
    reference::for_each(out.desc, [&](auto n, auto c, auto, auto) {
      double sum = 0;
      for (std::int64_t i = 0; i < x.extent[2]; ++i)
        for (std::int64_t j = 0; j < x.extent[3]; ++j) sum += x(n, c, i, j);
      y(n, c, 0, 0) = static_cast<float>(sum / static_cast<double>(x.extent[2] * x.extent[3]));
    });
  };
  return step;
}

}  // namespace fathom
