// Convolutions by NVIDIA's libraries: what Fathom's own kernels are measured against, and choices beside them where
// kernels are timed. Each library is a module of its own (libfathom_cudnn.so, libfathom_cublaslt.so), so that each may
// be missing, when Fathom is built or when it runs. Both sides must have been compiled from the same headers: a module
// says for what it was built.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace fathom {

// y = act(conv(pad with zeros(x), w) + b + residual). Maps are channels-last (n, c, h, w) with channels side by side
// and a pixel's stride of their own each, all at multiples of 16 bytes; weights (o, kh, kw, c / groups) of the maps'
// type, sums float32.
struct LibraryConv {
  enum class Type { half, tf32, float32 };  // tf32: of products; maps are float32
  using Four = std::array<std::int64_t, 4>;

  Type type = Type::half;
  Four x{}, y{};                                   // extents
  Four x_stride{}, y_stride{}, residual_stride{};  // in elements
  std::int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1, groups = 1;
  std::int64_t top = 0, left = 0, bottom = 0, right = 0;
  bool bias = false, residual = false, relu = false;
};

// Weights, bias and workspace are multiples of 256.
struct LibraryData {
  const void *x, *weight;
  const void *bias, *residual;  // null: none
  void *y, *workspace;
};

struct LibraryKernel {
  std::string name;  // "cudnn: engine 42, 1=2 3=0": the same for the same problem, GPU and version of the library
  std::int64_t workspace_bytes = 0;
  bool bias_as_maps = false;                                  // it wants the bias in the maps' type, not in float32
  std::function<void(const LibraryData&, void* stream)> run;  // enqueues; throws Error{device}
};

// One library on one GPU. Thread-safe.
class ConvLibrary {
 public:
  virtual ~ConvLibrary() = default;
  // Those that run the problem with the same bits every time, the likeliest first, at most so many.
  virtual std::vector<LibraryKernel> kernels(const LibraryConv& problem, int most) = 0;
  virtual std::string version() const = 0;  // "cuDNN 9.19.0"
};

// What a module's one symbol, `extern "C" const LibraryModule* fathom_library_module()`, gives.
struct LibraryModule {
  const char* built_for;  // equals module_abi(), or nothing else is used
  // For this thread's GPU; or, where there is none, for one that `device_json` describes as cuDNN has it: to look at
  // what cuDNN would choose, and whether cuBLASLt takes the descriptors made for it, without running. Throws
  // Error{device}. The caller deletes it.
  ConvLibrary* (*open)(const char* device_json);
};

}  // namespace fathom
