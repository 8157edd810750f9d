// What the choices of Conv2d share: the task by role, and its operands as kernels see them.
#pragma once
#include <string>

#include "activation.cuh"
#include "constants.hpp"
#include "gpu.cuh"
#include "kernels.hpp"
#include "map.cuh"
#include "sampling.cuh"

namespace fathom::gpu {

// ---- what a kernel receives

// One source: resized, padded, and joined to the others from channel `first` on.
struct ConvSource {
  AnyMap x;
  int first = 0, channels = 0;
  Axis rows, columns;             // of the convolution's input before padding, in x
  float scale[4] = {1, 1, 1, 1};  // of a photograph (u8) by channel: (x / 255 - mean) / std = scale x + shift
  float shift[4] = {};

  // Channel c of this source, at those places.
  __device__ float load(int n, int c, const Place& row, const Place& column) const {
    if (row.low < 0 || column.low < 0) return 0;
    const float above = blend(x.load(n, c, row.low, column.low), x, n, c, row.low, column);
    if (x.dtype == DType::u8) return scale[c] * above + shift[c];
    if (row.t == 0) return above;
    const float below = blend(x.load(n, c, row.high, column.low), x, n, c, row.high, column);
    return (1 - row.t) * above + row.t * below;
  }

 private:
  static __device__ float blend(float left, const AnyMap& x, int n, int c, int row, const Place& column) {
    return column.t == 0 ? left : (1 - column.t) * left + column.t * x.load(n, c, row, column.high);
  }
};

struct ConvGeometry {
  int c = 0, h = 0, w = 0;  // of the input after resize and concatenation, before padding
  int o = 0, oh = 0, ow = 0;
  int kh = 1, kw = 1;
  int stride_h = 1, stride_w = 1, top = 0, left = 0, dilation_h = 1, dilation_w = 1;
  int groups = 1;
  __host__ __device__ int group_in() const { return c / groups; }
  __host__ __device__ int group_out() const { return o / groups; }
};

inline constexpr int kMaxSources = 16;

struct ConvMaps {
  int sources = 0;
  bool has_gate = false, has_residual = false;
  ConvSource source[kMaxSources];
  AnyMap gate, residual, y;  // the residual may lie where y does
};

// ---- what a launcher works with

struct ConvTask {
  const Conv2d& op;
  const NodeIo& io;
  CudaBackend& backend;
  Conv2d::Inputs<Operand> role;
  ConvGeometry geometry;
  bool residual_in_y;  // the output reuses the residual's memory

  ConvTask(const Conv2d& op, const NodeIo& io, CudaBackend& backend);
  // One source as it is, padded with zeros or not at all; no photograph.
  bool plain() const;
  // Why not all maps (sources, residual, output) are halves or all float32; empty: they are.
  std::string types_differ() const;
  // Whether all maps take accesses of so many channels.
  bool wide(int channels) const;
  // The bias by output channel in device memory; null: none (or planning). With `stored`, always there, and filled up
  // with zeros to so many.
  std::shared_ptr<const float> bias(int stored = 0) const;
};

// The operands with the addresses of a run. Kept in Step::run.
class ConvOperands {
 public:
  explicit ConvOperands(const ConvTask& task);
  ConvMaps at(const RunArgs& args) const;

 private:
  ConvMaps maps_;              // all but the addresses
  std::vector<Operand> data_;  // sources, gate, residual, y
};

// A choice: fits says why not (empty: it may), build fills in the step.
struct ConvChoice {
  const char* name;
  std::string (*fits)(const ConvTask&);
  void (*build)(const ConvTask&, Step&);
};

std::string fits_depthwise(const ConvTask& task);
void build_depthwise(const ConvTask& task, Step& step);
std::string fits_head(const ConvTask& task);
void build_head(const ConvTask& task, Step& step);
void build_general(const ConvTask& task, Step& step);

}  // namespace fathom::gpu
