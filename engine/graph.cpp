#include "engine/graph.hpp"

#include <algorithm>

#include "fathom/error.hpp"

namespace fathom {

std::shared_ptr<const Constant> Constant::of(Desc desc, std::vector<float> values) {
  if (static_cast<std::int64_t>(values.size()) != desc.elements())
    throw Error(ErrorKind::shape, std::to_string(values.size()) + " values for a constant of shape " + shape_text(desc));
  auto kept = std::make_shared<std::vector<float>>(std::move(values));
  return std::make_shared<Constant>(Constant{desc, [kept] { return std::shared_ptr<const float[]>(kept, kept->data()); }});
}

Value Graph::add_input(std::string name, Desc desc) {
  values.push_back({std::move(name), desc, nullptr});
  inputs.push_back({static_cast<int>(values.size()) - 1});
  return inputs.back();
}

Value Graph::add_constant(std::string name, std::shared_ptr<const Constant> constant) {
  const Desc desc = constant->desc;
  values.push_back({std::move(name), desc, std::move(constant)});
  return {static_cast<int>(values.size()) - 1};
}

Value Graph::add(Op op, std::vector<Value> in, std::string name) {
  std::vector<Desc> descs;
  for (Value v : in) descs.push_back((*this)[v].desc);
  std::vector<Desc> out;
  try {
    out = infer_outputs(op, descs);
  } catch (const Error& e) {
    std::string text = std::string(name_of(op)) + " '" + name + "': " + e.what() + " (inputs:";
    for (Value v : in) text += " '" + (*this)[v].name + "' " + shape_text((*this)[v].desc);
    throw Error(e.kind(), text + ")");
  }
  std::vector<Value> made;
  for (const Desc& desc : out) {
    made.push_back({static_cast<int>(values.size())});
    values.push_back({made.size() == 1 ? name : name + ".mean", desc, nullptr});
  }
  const Value first = made[0];
  nodes.push_back({std::move(op), std::move(in), std::move(made), std::move(name)});
  return first;
}

std::vector<Desc> input_descs(const Graph& graph, const Node& node) {
  std::vector<Desc> descs;
  for (Value v : node.in) descs.push_back(graph[v].desc);
  return descs;
}

std::vector<std::vector<int>> readers(const Graph& graph) {
  std::vector<std::vector<int>> result(graph.values.size());
  const int count = static_cast<int>(graph.nodes.size());
  for (int k = 0; k < count; ++k)
    for (Value v : graph.nodes[static_cast<std::size_t>(k)].in) result[static_cast<std::size_t>(v.id)].push_back(k);
  for (const Output& o : graph.outputs) result[static_cast<std::size_t>(o.value.id)].push_back(count);
  return result;
}

void validate(const Graph& graph) {
  const auto wrong = [](const std::string& what) { throw Error(ErrorKind::model, "graph: " + what); };
  std::vector<bool> known(graph.values.size());
  for (std::size_t k = 0; k < graph.values.size(); ++k) known[k] = graph.values[k].constant != nullptr;
  const auto check_id = [&](Value v, const std::string& where) {
    if (v.id < 0 || v.id >= static_cast<int>(graph.values.size())) wrong(where + " refers to a value that does not exist");
  };
  const auto produce = [&](Value v, const std::string& where) {
    check_id(v, where);
    if (known[static_cast<std::size_t>(v.id)]) wrong("value '" + graph[v].name + "' is produced twice, again by " + where);
    known[static_cast<std::size_t>(v.id)] = true;
  };
  for (Value v : graph.inputs) produce(v, "the inputs");
  for (const Node& node : graph.nodes) {
    const std::string where = "node '" + node.name + "'";
    for (Value v : node.in) {
      check_id(v, where);
      if (!known[static_cast<std::size_t>(v.id)]) wrong(where + " reads '" + graph[v].name + "' before it is produced");
    }
    const std::vector<Desc> inferred = infer_outputs(node.op, input_descs(graph, node));
    if (node.out.size() != inferred.size())
      wrong(where + " has " + std::to_string(node.out.size()) + " outputs but its op gives " +
            std::to_string(inferred.size()));
    for (std::size_t k = 0; k < inferred.size(); ++k) {
      produce(node.out[k], where);
      if (const Desc& desc = graph[node.out[k]].desc; !inferred[k].same_extents(desc))
        wrong(where + " is recorded as " + shape_text(desc) + " but its op gives " + shape_text(inferred[k]));
    }
  }
  if (graph.outputs.empty()) wrong("it has no output");
  for (const Output& o : graph.outputs) {
    check_id(o.value, "output '" + o.name + "'");
    if (!known[static_cast<std::size_t>(o.value.id)]) wrong("output '" + o.name + "' is never produced");
  }
}

double multiply_adds(const Graph& graph) {
  double sum = 0;
  for (const Node& node : graph.nodes) sum += multiply_adds(node.op, input_descs(graph, node), graph[node.out[0]].desc);
  return sum;
}

std::string to_text(const Graph& graph) {
  std::string text;
  for (Value v : graph.inputs) text += graph[v].name + " = input " + shape_text(graph[v].desc) + " " + to_string(graph[v].desc.dtype) + "\n";
  for (const Node& node : graph.nodes) {
    text += node.name + " = " + to_text(node.op) + " (";
    for (std::size_t k = 0; k < node.in.size(); ++k) text += (k ? ", " : "") + graph[node.in[k]].name;
    text += ") -> " + shape_text(graph[node.out[0]].desc) + "\n";
  }
  for (const Output& o : graph.outputs) text += "output " + o.name + " = " + graph[o.value].name + "\n";
  return text;
}

}  // namespace fathom
