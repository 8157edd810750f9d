// oneDNN behind one door: convolutions of dense channels-last maps with fused epilogues, for oneDNN 2 and 3. Built
// without oneDNN, it refuses everything.
#pragma once

#include <memory>
#include <string>

#include "engine/ops.hpp"
#include "kernels/cpu/input.hpp"

namespace fathom::cpu {

// y = act(conv(x, w) + b [+ y])
struct DnnlShape {
  std::int64_t n, c, h, w;  // of x
  std::int64_t o, oh, ow;   // of y
  int kh, kw;
  Size2 stride, dilation;
  Padding padding;  // zeros
  int groups = 1;
  bool bias = false;
  bool sum = false;  // y holds the residual
  Activation activation;
};

class DnnlConv {
 public:
  // Null where oneDNN has no vectorised code for the shape; then why says so.
  static std::shared_ptr<const DnnlConv> make(const DnnlShape& shape, int threads, std::string& why);

  virtual ~DnnlConv() = default;
  virtual std::string implementation() const = 0;
  virtual std::int64_t scratchpad_bytes() const = 0;
  // The weights in this convolution's own order; programs whose convolutions like the same order share them.
  virtual Packed pack(CpuBackend& backend, const Operand& weight) const = 0;
  // May be called from several threads at once, with a scratchpad each, aligned to 64.
  virtual void run(const float* x, const float* weight, const float* bias, float* y, std::byte* scratchpad) const = 0;
};

}  // namespace fathom::cpu
