#include <unordered_set>

#include "engine/graph_json.hpp"
#include "engine/json_fields.hpp"
#include "fathom/error.hpp"

namespace fathom {

using json = JsonWriter::json;

namespace {

[[noreturn]] void unsayable(const std::string& text) { throw Error(ErrorKind::unsupported, "graph as JSON: " + text); }

class GraphWriter {
 public:
  explicit GraphWriter(const Graph& graph) : graph_(graph), readers_(readers(graph)), names_(graph.values.size()) {}

  std::string write() {
    json inputs = json::array(), nodes = json::array(), outputs = json::array();
    for (const Value v : graph_.inputs) inputs.push_back(input(v));
    for (std::size_t k = 0; k < graph_.nodes.size(); ++k)
      if (!folded_.contains(static_cast<int>(k))) nodes.push_back(node(graph_.nodes[k]));
    for (const Output& o : graph_.outputs)
      outputs.push_back(json{{"name", o.name},
                             {"value", name(o.value)},
                             {"kind", JsonWriter::write(o.kind)},
                             {"scale", JsonWriter::write(o.scale)}});
    return "{\"version\": 1,\n \"inputs\": " + lines(inputs) + ",\n \"nodes\": " + lines(nodes) +
           ",\n \"outputs\": " + lines(outputs) + "}\n";
  }

 private:
  static std::string lines(const json& list) {
    std::string text = "[";
    for (std::size_t k = 0; k < list.size(); ++k)
      text += (k ? ",\n  " : "\n  ") + list[k].dump(-1, ' ', false, json::error_handler_t::replace);
    return text + "]";
  }

  // Every value gets a name of its own, even if a pass gave one to two of them.
  const std::string& give_name(Value v, const std::string& wish) {
    std::string& name = names_[static_cast<std::size_t>(v.id)];
    name = wish;
    for (int k = 2; !taken_.insert(name).second; ++k) name = wish + "#" + std::to_string(k);
    return name;
  }

  const std::string& name(Value v) const { return names_[static_cast<std::size_t>(v.id)]; }

  // A picture and the Preprocess that reads it are one input.
  json input(Value v) {
    const ValueInfo& info = graph_[v];
    const Desc &desc = info.desc, &first = graph_[graph_.inputs[0]].desc;
    if (desc.n() != first.n() || desc.h() != first.h() || desc.w() != first.w())
      unsayable("input " + in_quotes(info.name) + " " + shape_text(desc) + " has another size than " +
                shape_text(first));
    json entry{{"name", give_name(v, info.name)}, {"dtype", to_string(info.desc.dtype)}};
    if (info.desc.dtype == DType::u8) {
      const std::vector<int>& who = readers_[static_cast<std::size_t>(v.id)];
      const int reader = who.size() == 1 ? who[0] : -1;
      const Node* node = reader >= 0 && reader < static_cast<int>(graph_.nodes.size())
                             ? &graph_.nodes[static_cast<std::size_t>(reader)]
                             : nullptr;
      const Preprocess* op = node ? std::get_if<Preprocess>(&node->op) : nullptr;
      if (!op) unsayable("the u8 input " + in_quotes(info.name) + " must be read by one Preprocess and nothing else");
      folded_.insert(reader);
      names_[static_cast<std::size_t>(node->out[0].id)] = name(v);
      entry["mean"] = JsonWriter::write(op->mean);
      entry["std"] = JsonWriter::write(op->std);
    } else if (info.desc.dtype != DType::f32) {
      unsayable("input " + in_quotes(info.name) + " holds " + to_string(info.desc.dtype));
    }
    if (info.desc.c() != 3) entry["channels"] = info.desc.c();
    return entry;
  }

  json node(const Node& node) {
    if (std::holds_alternative<Preprocess>(node.op))
      unsayable("node " + in_quotes(node.name) + " preprocesses what is no u8 input");
    json entry{{"op", name_of(node.op)}, {"name", node.name}};
    const std::vector<const char*> parameters = parameter_names(node.op);
    const std::size_t data = node.in.size() - parameters.size();
    entry["in"] = json::array();
    for (std::size_t k = 0; k < data; ++k) {
      if (graph_[node.in[k]].constant)
        unsayable("node " + in_quotes(node.name) + " reads the constant " + in_quotes(graph_[node.in[k]].name) +
                  " as data");
      entry["in"].push_back(name(node.in[k]));
    }
    entry["out"] = json::array();
    for (Value v : node.out) entry["out"].push_back(give_name(v, graph_[v].name));
    for (std::size_t k = 0; k < parameters.size(); ++k) {
      const ValueInfo& parameter = graph_[node.in[data + k]];
      if (!parameter.constant)
        unsayable("node " + in_quotes(node.name) + " computes its " + parameters[k] + " while running");
      entry[parameters[k]] = parameter.name;
    }
    std::visit([&](const auto& op) { JsonWriter::write_fields(op, entry, false); }, node.op);
    return entry;
  }

  const Graph& graph_;
  std::vector<std::vector<int>> readers_;
  std::vector<std::string> names_;
  std::unordered_set<std::string> taken_;
  std::unordered_set<int> folded_;  // nodes that are part of an input
};

}  // namespace

std::string graph_to_json(const Graph& graph) {
  validate(graph);
  return GraphWriter(graph).write();
}

}  // namespace fathom
