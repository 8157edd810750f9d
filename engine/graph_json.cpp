#include "engine/graph_json.hpp"

#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "engine/json_fields.hpp"
#include "fathom/error.hpp"

namespace fathom {

using nlohmann::json;

namespace {

constexpr std::size_t most_nodes = 20'000;
constexpr std::size_t most_inputs = 1024;  // of the graph and of a node
constexpr std::size_t longest_name = 512;
constexpr int largest_size = 16384;
constexpr int largest_batch = 65536;

[[noreturn]] void wrong(const std::string& text) { throw Error(ErrorKind::model, text); }

const json& member(const json& object, const char* key, const std::string& where) {
  if (!object.is_object()) wrong(where + " is not an object");
  const auto found = object.find(key);
  if (found == object.end()) wrong(where + " has no '" + key + "'");
  return *found;
}

void check_name(const std::string& name, const std::string& where) {
  if (name.empty()) wrong(where + " is empty");
  if (name.size() > longest_name)
    wrong(where + " has " + std::to_string(name.size()) + " bytes, at most " + std::to_string(longest_name) +
          " are read");
  if (has_control_characters(name)) wrong(where + " has control characters: " + in_quotes(name));
}

std::string text_member(const json& object, const char* key, const std::string& where) {
  const std::string what = where + ": '" + key + "'";
  std::string text;
  JsonReader::read(member(object, key, where), what, text);
  check_name(text, what);
  return text;
}

const json& list_member(const json& object, const char* key, const std::string& where, std::size_t longest) {
  const json& list = member(object, key, where);
  if (!list.is_array()) wrong(where + ": '" + key + "' is not a list");
  if (list.empty()) wrong(where + ": '" + key + "' is empty");
  if (list.size() > longest)
    wrong(where + ": '" + key + "' has " + std::to_string(list.size()) + " entries, at most " +
          std::to_string(longest) + " are read");
  return list;
}

// ---- the op of a node ----

constexpr const char* structure_keys[] = {"op", "name", "in", "out"};

template <class T>
constexpr bool has_bias = requires(T op) {
  op.bias;
};

template <class T>
Op read_op(const json& node, const std::string& where) {
  std::set<std::string> known(std::begin(structure_keys), std::end(structure_keys));
  T op;
  T with_all_parameters;
  if constexpr (has_bias<T>) with_all_parameters.bias = true, op.bias = node.contains("bias");
  if constexpr (requires { with_all_parameters.affine; }) with_all_parameters.affine = true;
  if constexpr (requires { with_all_parameters.excitation; }) with_all_parameters.excitation = {.maps = 1, .bias = true};
  for (const char* key : parameter_names(with_all_parameters)) known.insert(key);
  JsonReader::read_fields(node, where, op, std::move(known));
  return op;
}

template <std::size_t... K>
Op read_op_named(const std::string& name, const json& node, const std::string& where, std::index_sequence<K...>) {
  Op op;
  std::string list;
  const auto try_one = [&]<class T>(const T*) {
    list += (list.empty() ? "" : ", ") + std::string(T::name);
    if (name != T::name) return false;
    op = read_op<T>(node, where);
    return true;
  };
  if (!(try_one(static_cast<const std::variant_alternative_t<K, Op>*>(nullptr)) || ...))
    wrong(where + " has the unknown op " + in_quotes(name) + "; known are: " + list);
  return op;
}

// ---- the graph ----

class GraphReader {
 public:
  GraphReader(const json& root, const Weights& weights) : root_(root), weights_(weights) {}

  Graph read(int batch, int height, int width) {
    const std::string where = "graph";
    const json& version = member(root_, "version", where);
    if (version != 1) wrong(where + ": version " + in_quotes(version.dump()) + " is not 1, the only one that is known");
    JsonReader::check_keys(root_, where, {"version", "inputs", "nodes", "outputs"});
    const json& inputs = list_member(root_, "inputs", where, most_inputs);
    const json& nodes = list_member(root_, "nodes", where, most_nodes);
    const json& outputs = list_member(root_, "outputs", where, most_inputs);
    for (std::size_t k = 0; k < inputs.size(); ++k) read_input(inputs[k], k, batch, height, width);
    find_makers(nodes);
    for (std::size_t k = 0; k < nodes.size(); ++k) read_node(nodes[k], k);
    for (std::size_t k = 0; k < outputs.size(); ++k) read_output(outputs[k], k);
    check_surplus();
    validate(graph_);
    return std::move(graph_);
  }

 private:
  void name_value(const std::string& name, Value value, const std::string& where) {
    if (!values_.emplace(name, value).second)
      wrong("value " + in_quotes(name) + " is produced twice, again by " + where);
  }

  void read_input(const json& entry, std::size_t index, int batch, int height, int width) {
    const std::string name = text_member(entry, "name", "input " + std::to_string(index));
    const std::string where = "input " + in_quotes(name);
    JsonReader::check_keys(entry, where, {"name", "dtype", "mean", "std", "channels"});
    const std::string dtype = text_member(entry, "dtype", where);
    int channels = 3;
    if (entry.contains("channels")) JsonReader::read(entry["channels"], where + ": 'channels'", channels);
    if (channels < 1 || channels > largest_size)
      wrong(where + ": 'channels' must be from 1 to " + std::to_string(largest_size));

    Value value;
    if (dtype == "u8") {
      Preprocess op;
      if (entry.contains("mean")) JsonReader::read(entry["mean"], where + ": 'mean'", op.mean);
      if (entry.contains("std")) JsonReader::read(entry["std"], where + ": 'std'", op.std);
      for (const float s : op.std)
        if (!(s > 0)) wrong(where + ": 'std' must be above 0");
      const Value picture = graph_.add_input(name, Desc::nhwc(batch, channels, height, width, DType::u8));
      value = add(std::move(op), {picture}, name + ".normalised");
    } else if (dtype == "f32") {
      for (const char* key : {"mean", "std"})
        if (entry.contains(key)) wrong(where + " has '" + key + "', which only an input of dtype u8 takes");
      value = graph_.add_input(name, Desc::nhwc(batch, channels, height, width));
    } else {
      wrong(where + " has dtype " + in_quotes(dtype) + ", expected u8 or f32");
    }
    name_value(name, value, where);
  }

  // Who produces a value, for telling a cycle or a wrong order from a name that does not exist.
  void find_makers(const json& nodes) {
    for (const json& node : nodes) {
      if (!node.is_object() || !node.contains("out") || !node.contains("name")) continue;  // an error of its own, later
      const json &out = node["out"], &name = node["name"];
      if (out.is_array() && out.size() <= 2 && name.is_string())
        for (const json& entry : out)
          if (entry.is_string()) makers_.emplace(entry.get<std::string>(), name.get<std::string>());
    }
  }

  Value find_value(const std::string& name, const std::string& where) const {
    if (const auto found = values_.find(name); found != values_.end()) return found->second;
    if (const auto maker = makers_.find(name); maker != makers_.end())
      wrong(where + " reads " + in_quotes(name) + " before node " + in_quotes(maker->second) +
            " produces it: nodes must stand in topological order, without cycles");
    wrong(where + " reads " + in_quotes(name) + ", which no input and no node produces");
  }

  Value parameter(const json& node, const char* key, const std::string& where) {
    const std::string name = text_member(node, key, where);
    if (const auto known = parameters_.find(name); known != parameters_.end()) return known->second;
    const auto found = weights_.find(name);
    if (found == weights_.end()) wrong(where + ": the file has no tensor " + in_quotes(name) + ", its " + key);
    if (found->second->desc.dtype != DType::f32)
      wrong(where + ": its " + key + " " + in_quotes(name) + " holds " + to_string(found->second->desc.dtype) +
            ", expected floats");
    return parameters_[name] = graph_.add_constant(name, found->second);
  }

  // A shape error lists all inputs: of a node with hundreds of them, the beginning must do.
  Value add(Op op, std::vector<Value> in, const std::string& name) try {
    return graph_.add(std::move(op), std::move(in), name);
  } catch (const Error& error) {
    constexpr std::size_t longest = 1500;
    std::string text = error.what();
    if (text.size() <= longest) throw;
    text.resize(longest);
    while (static_cast<unsigned char>(text.back()) >= 0x80) text.pop_back();  // not the half of a UTF-8 character
    throw Error(error.kind(), text + "...");
  }

  void read_node(const json& node, std::size_t index) {
    const std::string name = text_member(node, "name", "node " + std::to_string(index));
    const std::string where = "node " + in_quotes(name);
    if (!names_.insert(name).second) wrong("two nodes are named " + in_quotes(name));
    const std::string op_name = text_member(node, "op", where);
    if (op_name == Preprocess::name)
      wrong(where + " is a Preprocess, which is not written as a node: give the input dtype u8, mean and std");
    Op op = read_op_named(op_name, node, where, std::make_index_sequence<std::variant_size_v<Op>>{});

    std::vector<Value> in;
    for (const json& entry : list_member(node, "in", where, most_inputs)) {
      std::string value;
      JsonReader::read(entry, where + ": 'in'[" + std::to_string(in.size()) + "]", value);
      in.push_back(find_value(value, where));
    }
    for (const char* key : parameter_names(op)) in.push_back(parameter(node, key, where));

    const json& out = list_member(node, "out", where, most_inputs);
    add(std::move(op), std::move(in), name);
    const std::vector<Value> made = graph_.nodes.back().out;
    if (out.size() != made.size())
      wrong(where + " has " + std::to_string(out.size()) + " outputs, expected " + (made.size() == 1 ? "one" : "two"));
    for (std::size_t k = 0; k < made.size(); ++k) {
      const std::string place = where + ": 'out'[" + std::to_string(k) + "]";
      std::string out_name;
      JsonReader::read(out[k], place, out_name);
      check_name(out_name, place);
      graph_[made[k]].name = out_name;
      name_value(out_name, made[k], where);
    }
  }

  void read_output(const json& entry, std::size_t index) {
    const std::string name = text_member(entry, "name", "output " + std::to_string(index));
    const std::string where = "output " + in_quotes(name);
    JsonReader::check_keys(entry, where, {"name", "value", "kind", "scale"});
    for (const Output& other : graph_.outputs)
      if (other.name == name) wrong("two outputs are named " + in_quotes(name));
    Output output{name, find_value(text_member(entry, "value", where), where)};
    if (entry.contains("kind")) JsonReader::read(entry["kind"], where + ": 'kind'", output.kind);
    if (entry.contains("scale")) JsonReader::read(entry["scale"], where + ": 'scale'", output.scale);
    if (!(output.scale > 0)) wrong(where + ": 'scale' must be above 0");
    graph_.outputs.push_back(std::move(output));
  }

  // Batch norms of official checkpoints count their batches; nothing reads that.
  void check_surplus() const {
    constexpr std::size_t most_named = 20;
    std::size_t surplus = 0;
    std::string text;
    for (const auto& [name, constant] : weights_) {
      if (parameters_.contains(name) || (constant->desc.dtype == DType::i64 && name.ends_with("num_batches_tracked")))
        continue;
      if (++surplus <= most_named) text += (surplus > 1 ? ", " : "") + in_quotes(name);
    }
    if (surplus > most_named) text += " and " + std::to_string(surplus - most_named) + " more";
    if (surplus) wrong("no node of the graph uses the weights " + text);
  }

  const json& root_;
  const Weights& weights_;
  Graph graph_;
  std::unordered_map<std::string, Value> values_, parameters_;
  std::unordered_map<std::string, std::string> makers_;
  std::unordered_set<std::string> names_;
};

}  // namespace

Graph graph_from_json(const std::string& text, const Weights& weights, int batch, int height, int width) {
  if (batch < 1 || batch > largest_batch || height < 1 || height > largest_size || width < 1 || width > largest_size)
    throw Error(ErrorKind::shape, "a graph cannot be built for a batch of " + std::to_string(batch) + " at " +
                                      std::to_string(width) + "x" + std::to_string(height) + ": sizes go from 1 to " +
                                      std::to_string(largest_size));
  const json root = parse_json(text, "graph");
  return GraphReader(root, weights).read(batch, height, width);
}

}  // namespace fathom
