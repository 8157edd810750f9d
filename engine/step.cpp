#include "engine/step.hpp"

#include <algorithm>
#include <utility>

namespace fathom {

Step describe(const Op& op, const NodeIo& io) {
  Step step;
  step.name = io.name;
  step.op = to_text(op);
  step.flops = 2 * multiply_adds(op, io.input_descs(), io.out.desc);
  const auto bytes = [](const Desc& d) { return static_cast<double>(d.elements() * size_of(d.dtype)); };
  for (const Operand& o : io.in) step.bytes += bytes(o.desc);
  step.bytes += bytes(io.out.desc);
  if (io.mean.id >= 0) step.bytes += bytes(io.mean.desc);
  return step;
}

Step with_means(Step map, Step means) {
  map.kernel += ", means " + means.kernel;
  map.flops += means.flops;
  map.bytes += means.bytes;
  map.workspace_bytes = std::max(map.workspace_bytes, means.workspace_bytes);
  map.counters = std::max(map.counters, means.counters);
  map.launches += means.launches;
  map.means = true;
  map.run = [first = std::move(map.run), second = std::move(means.run)](const RunArgs& args) {
    first(args);
    second(args);
  };
  return map;
}

}  // namespace fathom
