// Ops that exist so that a GPU need not store the maps between: here these stay in the caches in any case, and oneDNN
// does the parts.
#include "kernels/in_parts.hpp"

#include "kernels/cpu/kernels.hpp"

namespace fathom {

Step prepare(const InvertedResidual& op, const NodeIo& io, CpuBackend& backend) {
  return in_parts(op, io, backend, [](const Desc& map) { return map; });
}

Step prepare(const ConvPool& op, const NodeIo& io, CpuBackend& backend) {
  return in_parts(op, io, backend, [](const Desc& map) { return map; });
}

}  // namespace fathom
