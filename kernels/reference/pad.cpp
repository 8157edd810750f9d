// y(n, c, h, w) = x(n, c, h - top, w - left); outside: 0 · the mirror image without the edge itself · the nearest edge
#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"
#include "kernels/reference/sampling.hpp"

namespace fathom {

Step prepare(const Pad& op, const NodeIo& io, ReferenceBackend&) {
  Step step = reference::begin(op, io);
  const Desc& x_desc = io.in[0].desc;
  const reference::MapTaps taps = reference::pad(reference::taps_of(Resize{}, x_desc, x_desc), op.padding, op.mode);
  step.run = [taps, data = reference::Input(io.in[0]), out = io.out](const RunArgs& args) {
    const View<const float, 4> x = data(args);
    const View<float, 4> y = args.view<float>(out);
    reference::for_each(out.desc, [&](auto n, auto c, auto i, auto j) {
      y(n, c, i, j) = static_cast<float>(
          reference::sample(x, n, c, taps.rows[static_cast<std::size_t>(i)], taps.cols[static_cast<std::size_t>(j)]));
    });
  };
  return step;
}

}  // namespace fathom
