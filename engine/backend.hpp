// What a session asks of a device: which fusions it can run, what it may do with memory, and a Step for each node.
#pragma once

#include <memory>
#include <string>

#include "engine/passes/passes.hpp"
#include "engine/plan.hpp"
#include "engine/step.hpp"

namespace fathom {

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;  // "CPU, 2 threads"
  virtual Fusions fusions() const = 0;
  virtual StorageRules rules() const = 0;
  // Types and padding of every value, as this device wants them; inputs and outputs stay as they are.
  virtual Graph choose_types(Graph graph) const { return graph; }
  // Packs weights, chooses a kernel, asks for workspace. Thread-safe.
  virtual Step prepare(const Op& op, const NodeIo& io) = 0;
  // Memory of the device for an arena; throws Error{memory}.
  virtual std::shared_ptr<std::byte> allocate(std::int64_t bytes) = 0;
  virtual std::int64_t weight_bytes() const = 0;  // packed so far
};

std::unique_ptr<Backend> make_reference_backend();
std::unique_ptr<Backend> make_cpu_backend(int threads);

}  // namespace fathom
