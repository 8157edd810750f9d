// What the choices of Conv2d share: the task by role, and its operands as kernels see them.
#pragma once
#include <string>

#include "activation.cuh"
#include "constants.hpp"
#include "gpu.cuh"
#include "kernels.hpp"
#include "kernels/libraries/conv_library.hpp"
#include "map.cuh"
#include "sampling.cuh"

namespace fathom::gpu {

// ---- what a kernel receives

// The bilinear value of a map between four pixels that lie in it.
__device__ inline float sample(const AnyMap& x, int n, int c, const Place& row, const Place& column) {
  const auto along = [&](int h) {
    const float left = x.load(n, c, h, column.low);
    return column.t == 0 ? left : (1 - column.t) * left + column.t * x.load(n, c, h, column.high);
  };
  const float above = along(row.low);
  return row.t == 0 ? above : (1 - row.t) * above + row.t * along(row.high);
}

// One source: resized, padded, and joined to the others from channel `first` on.
struct ConvSource {
  AnyMap x;
  int first = 0, channels = 0;
  bool centre = false;            // read by the middle of the kernel only
  Axis rows, columns;             // of the convolution's input before padding, in x
  float scale[4] = {1, 1, 1, 1};  // of a photograph (u8) by channel: (x / 255 - mean) / std = scale x + shift
  float shift[4] = {};

  // Channel c of this source, at those places.
  __device__ float load(int n, int c, const Place& row, const Place& column) const {
    if (row.low < 0 || column.low < 0) return 0;
    const float value = sample(x, n, c, row, column);
    return x.dtype == DType::u8 ? scale[c] * value + shift[c] : value;
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

inline constexpr int kMaxSources = 12;

// What happens to an input before the padding: input_activation(gate * (scale x + shift)).
struct ConvPrologue {
  bool has_gate = false;
  AnyMap gate;                                     // (N, C, 1, 1)
  const float *scale = nullptr, *shift = nullptr;  // (C); null: none
  Activation activation;

  __device__ float operator()(int n, int c, float x) const {
    if (scale) x = scale[c] * x + shift[c];
    if (has_gate) x *= gate.load(n, c, 0, 0);
    return activation.kind == ActivationKind::none ? x : apply(activation, x);
  }
};

// What happens to a sum where it is stored: result(act(shuffle((sum + bias) * gate) + residual + resize(addend))), or act
// before what is added.
struct ConvEpilogue {
  const float* bias = nullptr;  // (O); null: none
  bool has_gate = false, has_residual = false, has_addend = false;
  AnyMap gate, residual, addend, y;  // the residual may lie where y does
  Axis rows, columns;                // of y in the addend
  int shuffle = 1;
  Activation activation;
  bool residual_last = false, has_result = false, reciprocal = false;
  Affine result;

  __device__ float result_of(float x) const {
    x = result.scale * x + result.shift;
    return reciprocal ? 1 / x : x;
  }
  // Channel o of the convolution at (i, j).
  __device__ void store(int n, int o, int i, int j, float sum) const {
    if (bias) sum += bias[o];
    if (has_gate) sum *= gate.load(n, o, 0, 0);
    const int square = shuffle * shuffle, c = o / square;
    const int h = i * shuffle + o % square / shuffle, w = j * shuffle + o % shuffle;
    if (residual_last) sum = apply(activation, sum);
    if (has_residual) sum += residual.load(n, c, h, w);
    if (has_addend) sum += sample(addend, n, c, rows.place(h), columns.place(w));
    if (!residual_last) sum = apply(activation, sum);
    y.store(n, c, h, w, has_result ? result_of(sum) : sum);
  }
};

struct ConvMaps {
  int sources = 0;
  ConvSource source[kMaxSources];
  ConvPrologue prologue;
  ConvEpilogue epilogue;
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
  // One source as it is, padded with zeros or not at all; no photograph, no prologue.
  bool plain() const;
  // Why not all maps (sources, residual, output) are halves or all float32; empty: they are.
  std::string types_differ() const;
  // Whether all maps take accesses of so many channels.
  bool wide(int channels) const;
  // The bias by output channel in device memory; null: none, or left out. With `stored`, always there, and filled up
  // with zeros to so many.
  std::shared_ptr<const float> bias(int stored = 0) const;
  // The weights as (taps, C / groups, O) in float32, O filled up with zeros to `padded_o`.
  std::shared_ptr<const float> weight_by_taps(int padded_o = 0) const;
  // What there is beyond sources, a gate, a bias, a residual and an activation; empty: nothing.
  std::string extras() const;
};

// The operands with the addresses of a run. Kept in Step::run.
class ConvOperands {
 public:
  explicit ConvOperands(const ConvTask& task);
  ConvMaps at(const RunArgs& args) const;

 private:
  ConvMaps maps_;              // all but the addresses of a run
  std::vector<Operand> data_;  // sources, gate, residual, addend, the output's gate, y
  std::shared_ptr<const float> bias_, scale_, shift_;
};

struct ConvProblem;
struct ConvPlan;

// A choice: fits says why not (empty: it may, and is taken unless one before it is), build fills in the step.
struct ConvChoice {
  const char* name;
  std::string (*fits)(const ConvTask&);
  void (*build)(const ConvTask&, Step&);
  // Of those with plans (conv_core_plan.hpp) to choose from.
  ConvProblem (*problem)(const ConvTask&) = nullptr;
  void (*build_plan)(const ConvTask&, Step&, const ConvPlan&) = nullptr;
  // As fits, but without asking the cost model.
  std::string (*may_run)(const ConvTask&) = nullptr;
  std::string may(const ConvTask& task) const { return may_run ? may_run(task) : fits(task); }
};

// By NVIDIA's libraries, where they are and the problem is one of theirs: see conv_library.cu.
std::string fits_library(const ConvTask& task);
std::vector<LibraryKernel> library_kernels(const ConvTask& task);
std::string library_versions(const ConvTask& task);  // of those that the problem is put to; empty: none
void build_library(const ConvTask& task, Step& step, const LibraryKernel& kernel);

// Where the backend has a Tuning: the step by the choice that is fastest on its GPU. False: there is nothing to choose.
bool build_timed(std::span<const ConvChoice> choices, const ConvTask& task, Step& step);
// Where means are wanted and its kernel took none as it stored the map, the step with a launch for them behind.
Step with_means_asked(const ConvTask& task, Step step);

std::string fits_depthwise(const ConvTask& task);
void build_depthwise(const ConvTask& task, Step& step);
std::string fits_head(const ConvTask& task);
void build_head(const ConvTask& task, Step& step);
std::string fits_grouped_mma(const ConvTask& task);
void build_grouped_mma(const ConvTask& task, Step& step);
std::string fits_grouped_direct(const ConvTask& task);
void build_grouped_direct(const ConvTask& task, Step& step);
std::string fits_few_mma(const ConvTask& task);
void build_few_mma(const ConvTask& task, Step& step);
std::string fits_few_direct(const ConvTask& task);
void build_few_direct(const ConvTask& task, Step& step);
std::string fits_phases(const ConvTask& task);
std::string may_run_phases(const ConvTask& task);
void build_phases(const ConvTask& task, Step& step);
std::string fits_products(const ConvTask& task);
void build_products(const ConvTask& task, Step& step);
void build_general(const ConvTask& task, Step& step);

}  // namespace fathom::gpu
