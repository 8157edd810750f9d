// Runs a graph node by node as it is written: unfused, unplanned, every value in memory of its own. The plainest way
// from a graph to numbers, against which sessions and passes can be held.
#pragma once

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "engine/graph.hpp"
#include "engine/step.hpp"
#include "fathom/error.hpp"

namespace fathom::test {

// The numbers of one tensor in logical order, N, C, H, W.
struct Numbers {
  Desc desc;
  std::vector<float> values;
};

// inputs: the bytes of each graph input by name, in the input's own layout. Backend: any that `prepare` is overloaded
// for.
template <class Backend>
std::map<std::string, Numbers> run_graph(const Graph& graph,
                                         const std::map<std::string, std::vector<std::uint8_t>>& inputs,
                                         Backend& backend) {
  std::vector<Buffer> buffers(graph.values.size());
  std::vector<void*> data(graph.values.size());
  const auto allocate = [&](Value v) {
    const auto id = static_cast<std::size_t>(v.id);
    buffers[id] = Buffer(graph[v].desc.span_bytes());
    data[id] = buffers[id].data();
  };
  for (Value v : graph.inputs) {
    const std::vector<std::uint8_t>& bytes = inputs.at(graph[v].name);
    if (static_cast<std::int64_t>(bytes.size()) != graph[v].desc.span_bytes())
      throw Error(ErrorKind::shape, "input '" + graph[v].name + "' has " + std::to_string(bytes.size()) + " bytes");
    allocate(v);
    std::memcpy(data[static_cast<std::size_t>(v.id)], bytes.data(), bytes.size());
  }

  const auto read_by = readers(graph);
  const auto operand = [&](Value v) { return Operand{v.id, graph[v].desc, graph[v].name, graph[v].constant}; };
  for (std::size_t k = 0; k < graph.nodes.size(); ++k) {
    const Node& node = graph.nodes[k];
    NodeIo io{.name = node.name, .out = operand(node.out[0])};
    for (Value v : node.in) io.in.push_back(operand(v));
    const Step step = std::visit([&](const auto& op) { return prepare(op, io, backend); }, node.op);
    allocate(node.out[0]);
    Buffer workspace(step.workspace_bytes);
    step.run(RunArgs{data.data(), workspace.data(), nullptr});
    for (Value v : node.in)  // whoever reads a value last frees it
      if (!graph[v].constant && read_by[static_cast<std::size_t>(v.id)].back() == static_cast<int>(k))
        buffers[static_cast<std::size_t>(v.id)] = Buffer();
  }

  std::map<std::string, Numbers> outputs;
  for (const Output& o : graph.outputs) {
    const auto y = view<const float, 4>(graph[o.value].desc, data[static_cast<std::size_t>(o.value.id)]);
    Numbers& numbers = outputs[o.name];
    numbers.desc = graph[o.value].desc;
    for (std::int64_t n = 0; n < y.extent[0]; ++n)
      for (std::int64_t c = 0; c < y.extent[1]; ++c)
        for (std::int64_t h = 0; h < y.extent[2]; ++h)
          for (std::int64_t w = 0; w < y.extent[3]; ++w) numbers.values.push_back(y(n, c, h, w));
  }
  return outputs;
}

}  // namespace fathom::test
