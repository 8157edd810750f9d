// A convolution as plain vector loops over padded rows: any stride, dilation and grouping. What runs where oneDNN is
// left out or slow.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/ops.hpp"
#include "kernels/cpu/input.hpp"

namespace fathom::cpu {

// 16 output channels (or fewer) and the input channels they read. Small groups share a block: what lies outside an
// output's own group meets weights of zero.
struct DirectBlock {
  std::int64_t o, lanes, c, channels;
  std::int64_t weight;  // first float of its weights, (kh, kw, channels, 16)
};

// What one row of output needs. Strides in floats.
struct DirectRow {
  const float* x;  // the first padded row of the window
  std::int64_t x_row, x_pixel;
  float* y;
  std::int64_t y_pixel, count;  // pixels
  const float* residual;        // null: none; may be y
  std::int64_t residual_pixel;
};

class DirectConv {
 public:
  // weight (O, C / groups, kh, kw), bias null or (O)
  DirectConv(const Operand& weight, const Operand* bias, int groups, Size2 stride, Size2 dilation,
             const Activation& activation, CpuBackend& backend);

  void run(const DirectRow& row) const;
  bool depthwise() const { return depthwise_; }

  struct Kernel {
    int kh, kw;
    std::int64_t step;  // pixels from one output to the next
    Size2 dilation;
  };

 private:
  Kernel kernel_;
  Activation activation_;
  std::int64_t outputs_ = 0;
  bool depthwise_ = false;
  std::vector<DirectBlock> blocks_;
  Packed weight_, bias_;  // bias: 16 per block
};

}  // namespace fathom::cpu
