// How long one step takes by itself, between made-up operands in device memory.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/backend.hpp"
#include "engine/step.hpp"

namespace fathom {

class StepTimer {
 public:
  // Takes memory for a node's inputs and outputs on this thread's device. Throws Error{memory}.
  explicit StepTimer(const NodeIo& io);

  // Microseconds of one run, the least of several bursts: each burst is one CUDA graph, so that launching costs little.
  // Weights and maps stay in the cache where they fit: in a network a map has just been written there by the step
  // before. Weights have not just been read, so what re-reads them is flattered a little where they are large; emptying
  // the cache between runs would hide the maps too, and a burst's launches could no longer follow each other.
  // Throws Error{memory}, Error{device}.
  double microseconds(const Step& step);

 private:
  using Memory = std::shared_ptr<std::byte>;

  std::unique_ptr<Queue> queue_;
  std::vector<Memory> memory_;
  std::vector<void*> data_;  // by operand's id
  bool warm_ = false;        // the GPU has been kept busy
};

}  // namespace fathom
