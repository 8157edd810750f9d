// y(n, c, i, j) = x where (i, j) falls:
//   nearest: floor(i in/out) · bilinear, half-pixel: (i + 0.5) in/out - 0.5, clamped · align_corners: i (in-1)/(out-1)
#include "kernels/reference/kernels.hpp"
#include "kernels/reference/sampling.hpp"

namespace fathom {

Step prepare(const Resize& op, const NodeIo& io, ReferenceBackend&) {
  return reference::sampled(op, io, reference::taps_of(op, io.in[0].desc, io.out.desc));
}

}  // namespace fathom
