// A network as plain data: values, nodes in topological order, inputs, named outputs. Copy it, print it, rewrite it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/ops.hpp"

namespace fathom {

struct Value {
  int id = -1;
  bool operator==(const Value&) const = default;
};

// Immutable numbers of a network (f32, dense): a weight of the model file, or one that a pass derives from others. The
// bytes are made when asked for and not kept, so that only what a backend packs stays in memory. Its name is unique in a
// graph and says what it is made of, so that backends may cache by it.
struct Constant {
  Desc desc;
  std::function<std::shared_ptr<const float[]>()> values;

  static std::shared_ptr<const Constant> of(Desc desc, std::vector<float> values);
};

struct ValueInfo {
  std::string name;
  Desc desc;
  std::shared_ptr<const Constant> constant;  // null: computed while running
};

struct Node {
  Op op;
  std::vector<Value> in;
  std::vector<Value> out;
  std::string name;
};

enum class OutputKind { tensor, disparity, depth, segmentation };
inline constexpr const char* output_kind_names[] = {"tensor", "disparity", "depth", "segmentation"};
template <>
inline constexpr std::span<const char* const> enum_names<OutputKind> = output_kind_names;

struct Output {
  std::string name;  // "disp0", "depth", ...
  Value value;
  OutputKind kind = OutputKind::tensor;
  float scale = 1;  // of depth: metres per unit
};

struct Graph {
  std::vector<ValueInfo> values;
  std::vector<Node> nodes;
  std::vector<Value> inputs;
  std::vector<Output> outputs;  // the first is the primary one

  Value add_input(std::string name, Desc desc);
  Value add_constant(std::string name, std::shared_ptr<const Constant> constant);
  // Appends a node and infers its outputs, of which the first is returned; throws Error{shape} naming op, node, and the
  // inputs with their shapes.
  Value add(Op op, std::vector<Value> in, std::string name);

  const ValueInfo& operator[](Value v) const { return values[static_cast<std::size_t>(v.id)]; }
  ValueInfo& operator[](Value v) { return values[static_cast<std::size_t>(v.id)]; }
};

std::vector<Desc> input_descs(const Graph& graph, const Node& node);
// For each value the nodes that read it, by index; an output counts as a reader with index nodes.size().
std::vector<std::vector<int>> readers(const Graph& graph);
// Throws Error{model} unless every value is produced once, before it is read, and every shape follows from its op.
void validate(const Graph& graph);
double multiply_adds(const Graph& graph);
std::string to_text(const Graph& graph);  // one line a node: name, op, inputs, output shape

}  // namespace fathom
