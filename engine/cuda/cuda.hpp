// The GPU as a Backend: kernels by overload resolution, memory by cudaMalloc, a stream a session.
#pragma once

#include <memory>
#include <string>

#include "engine/backend.hpp"
#include "engine/cuda/backend_cuda.hpp"

namespace fathom {

// `tuning`: a file of Tuning's; empty: kernels are chosen by the cost model.
std::unique_ptr<Backend> make_cuda(GpuInfo gpu, Precision precision, bool plan_only, const std::string& tuning);

// Makes `device` this thread's CUDA device until the end of a scope.
class OnDevice {
 public:
  explicit OnDevice(int device);
  ~OnDevice();
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  int before_ = -1;  // -1: it was that one already
};

// A queue on a stream of its own, whose recorders capture CUDA graphs.
std::unique_ptr<Queue> make_cuda_queue(int device);

}  // namespace fathom
