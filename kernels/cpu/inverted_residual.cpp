// An inverted residual block: here its wide maps stay in the caches in any case, and the convolutions are oneDNN's.
#include "kernels/as_convolutions.hpp"
#include "kernels/cpu/kernels.hpp"

namespace fathom {

Step prepare(const InvertedResidual& op, const NodeIo& io, CpuBackend& backend) {
  return as_convolutions(op, io, backend, [](const Desc& map) { return map; });
}

}  // namespace fathom
