// y(n, c, i, j) = x where (i, j) falls:
//   nearest: floor(i in/out) · bilinear, half-pixel: (i + 0.5) in/out - 0.5, clamped · align_corners: i (in-1)/(out-1)
#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"
#include "kernels/reference/sampling.hpp"

namespace fathom {

Step prepare(const Resize& op, const NodeIo& io, ReferenceBackend&) {
  Step step = reference::begin(op, io);
  step.run = [taps = reference::taps_of(op, io.in[0].desc, io.out.desc), data = reference::Input(io.in[0]),
              out = io.out](const RunArgs& args) {
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
