// What a backend makes of a node: a Step, prepared once and run for every frame. Steps are immutable and shared by all
// sessions of an engine; what differs from session to session (addresses, stream) comes with each run.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/graph.hpp"

namespace fathom {

// One input or output of a node as a kernel sees it while preparing.
struct Operand {
  int id = -1;  // index into RunArgs::data
  Desc desc;
  std::string name;
  std::shared_ptr<const Constant> constant;  // null: read RunArgs::data[id] while running
};

struct NodeIo {
  std::string name;
  std::vector<Operand> in;
  Operand out;
  Operand mean;       // the second output, where there is one (means, or a gate), else with id -1
  int in_place = -1;  // the input whose storage the output reuses, -1: none. Where set, a kernel must honour it.

  std::span<const Operand> inputs() const { return in; }
  std::vector<Desc> input_descs() const {
    std::vector<Desc> descs;
    for (const Operand& o : in) descs.push_back(o.desc);
    return descs;
  }
};

struct RunArgs {
  void* const* data;             // the address of every value by id; constants have none
  std::byte* workspace;          // Step::workspace_bytes, aligned to 64
  void* stream;                  // cudaStream_t on a GPU, null on the CPU
  unsigned* counters = nullptr;  // Step::counters, zero before and after each step; of the session, in device memory

  template <class T>
  T* pointer(const Operand& o) const {
    return static_cast<T*>(data[o.id]);
  }
  template <class T>
  View<T, 4> view(const Operand& o) const {
    return fathom::view<T, 4>(o.desc, data[o.id]);
  }
};

struct Step {
  std::string name;                  // of the node
  std::string op;                    // "Conv2d stride 2 ..."
  std::string kernel;                // the choice made
  std::vector<std::string> refused;  // "kernel: reason" of the choices before it
  double flops = 0;                  // two per multiply-add
  double bytes = 0;                  // that must move, each operand once
  std::int64_t workspace_bytes = 0;
  int counters = 0;
  int launches = 1;    // kernels that a run enqueues
  bool means = false;  // the second output is made too, where there is one
  std::function<void(const RunArgs&)> run;
};

// A step with name, op, flops and bytes filled in from the op alone.
Step describe(const Op& op, const NodeIo& io);

// The first step, and the means of what it made by the second, as one step: for kernels that only make their map.
Step with_means(Step map, Step means);

}  // namespace fathom
