// A graph made ready for one device: passes, plan, steps. Immutable; all sessions of an engine share it.
#pragma once

#include <limits>

#include "engine/backend.hpp"
#include "fathom/frame.hpp"

namespace fathom {

struct Program {
  Graph graph;              // after passes, without the constants' values
  std::vector<Desc> outputs;  // what the caller gets, (N, C, H, W), in the graph's order
  Layout layout;
  MemoryPlan memory;
  std::int64_t order_gain_bytes = 0;  // by how much the order of nodes lowered the bound, without workspaces
  std::vector<Step> steps;  // those that run, in order
  std::vector<int> node;    // of each step

  int counters() const;  // the most that a step needs
  double flops() const;
  double bytes() const;  // compulsory, each tensor once
};

struct CompileOptions {
  std::vector<std::string> outputs;  // empty: the primary one
  bool fuse = true;
  bool low_products = true;  // of the fusions, this one may be switched off alone
  std::int64_t budget_bytes = std::numeric_limits<std::int64_t>::max();  // of the arena
};

// Throws Error{memory} when the arena would be larger than the budget, before weights are packed if activations alone are.
Program compile(Graph graph, Backend& backend, const CompileOptions& options);

// What a program runs with, besides an arena.
struct BindOptions {
  std::shared_ptr<std::byte> counters;  // Program::counters() zeros; null where there are none
  Queue* queue = nullptr;               // null: of the host
  bool wait_each = false;               // for each step before the next, so that a fault names its step
  std::int64_t alignment = 1;           // of the caller's pointers to anything but photographs
};

// A program with memory to run in: one per session and program. Not for two threads at once.
class Binding {
 public:
  Binding(std::shared_ptr<const Program> program, std::shared_ptr<std::byte> arena, BindOptions options = {});
  Binding(const Binding&) = delete;  // its work points at it
  // Addresses in the order of the graph's inputs and outputs. Enqueues on `stream`, or runs on the CPU.
  void run(std::span<const void* const> inputs, std::span<float* const> outputs, void* stream);
  // Whether a graph of the caller's own may run it again, in this memory.
  bool in_callers_graph() const { return recorder_ && recorder_->in_callers_graph(); }

 private:
  void check(std::span<const void* const> inputs, std::span<float* const> outputs) const;
  void enqueue(int step, void* stream) const;

  std::shared_ptr<const Program> program_;
  std::shared_ptr<std::byte> arena_;
  BindOptions options_;
  std::vector<void*> data_;  // by value id
  RepeatedWork work_;        // a part a step
  std::unique_ptr<Recorder> recorder_;
};

}  // namespace fathom
