#include "engine/step.hpp"

namespace fathom {

Step describe(const Op& op, const NodeIo& io) {
  Step step;
  step.name = io.name;
  step.op = to_text(op);
  step.flops = 2 * multiply_adds(op, io.input_descs(), io.out.desc);
  const auto bytes = [](const Desc& d) { return static_cast<double>(d.elements() * size_of(d.dtype)); };
  for (const Operand& o : io.in) step.bytes += bytes(o.desc);
  step.bytes += bytes(io.out.desc);
  return step;
}

}  // namespace fathom
