// The CUDA backend is a module, libfathom_cuda.so, that is opened when a GPU is asked for: so one program runs on
// machines with a GPU and on those without CUDA. What passes between the two is C++ (Backend, Graph, Step), which both
// must have been compiled from the same headers: the module says for what it was built before anything else is called.
//
// It is looked for: where the environment variable FATHOM_CUDA_MODULE says (a path, or "none" for no GPU); in the
// program itself, if the module's sources are linked into it; beside the engine's library or program, in the folder
// above, and in the library folder of an installation; where the system's loader looks.
#pragma once

#include <memory>
#include <string>

#include "engine/backend.hpp"
#include "fathom/device.hpp"

namespace fathom {

struct CudaRequest {
  Precision precision = Precision::fp32;
  bool plan_only = false;  // needs no GPU
  std::string tuning;      // see EngineOptions
};

// What the module's one symbol, `extern "C" const CudaModule* fathom_cuda_module()`, gives.
struct CudaModule {
  const char* built_for;                 // equals module_abi() of the engine, or nothing else is used
  Backend* (*open)(const CudaRequest&);  // throws Error; the caller deletes it
};

// Throws Error{device} that says in one sentence why there is no GPU.
std::unique_ptr<Backend> open_cuda_backend(const CudaRequest& request);

}  // namespace fathom
