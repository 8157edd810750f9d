// y = pool(act(conv(pad(x), w) + b)): one after the other
#include "kernels/in_parts.hpp"
#include "kernels/reference/kernels.hpp"

namespace fathom {

Step prepare(const ConvPool& op, const NodeIo& io, ReferenceBackend& backend) {
  Step step = in_parts(op, io, backend, [](const Desc& map) { return map; });
  step.kernel = "reference";
  return step;
}

}  // namespace fathom
