// y = act(project(depth_activation(depthwise(pad(expand_activation(expand x + b1)), w) + b2)) + b3 (+ x)): one
// convolution after another
#include "kernels/in_parts.hpp"
#include "kernels/reference/kernels.hpp"

namespace fathom {

Step prepare(const InvertedResidual& op, const NodeIo& io, ReferenceBackend& backend) {
  Step step = in_parts(op, io, backend, [](const Desc& map) { return map; });
  step.kernel = "reference";
  return step;
}

}  // namespace fathom
