// Squeeze and excitation of means that are known:
//   y = activation(W2 squeeze_activation(W1 mean + b1) + b2), mean = concat(mean_k...)
// by the blocks of a launch of its own (channel_gate_means.cu), or by the block that made the last of the means
// (channel_means.cuh). Everything in float32, sums in a fixed order.
#pragma once
#include <span>

#include "activation.cuh"
#include "constants.hpp"
#include "map.cuh"
#include "reduce.cuh"

namespace fathom::gpu {

inline constexpr int kMeansMaps = 6;

// (N, C, 1, 1) in float32, the channels side by side. Small: it travels with convolutions.
struct ChannelVector {
  float* data = nullptr;
  int pitch = 0;  // from image to image
  short first = 0, channels = 0;

  ChannelVector() = default;
  ChannelVector(const Desc& desc, const void* data, std::int64_t first = 0)
      : data(static_cast<float*>(const_cast<void*>(data))),
        pitch(static_cast<int>(desc.stride[0])),
        first(static_cast<short>(first)),
        channels(static_cast<short>(desc.c())) {}
  __device__ float& operator()(int n, int c) const { return data[static_cast<std::int64_t>(n) * pitch + c]; }
};

struct GateOfMeans {
  int maps = 0;  // 0: there is no gate
  int channels = 0, hidden = 0, outputs = 0;
  ChannelVector mean[kMeansMaps];  // `first` of each: in the concat
  const float *squeeze = nullptr, *excite = nullptr;  // (hidden, channels), (hidden, outputs)
  const float *squeeze_bias = nullptr, *excite_bias = nullptr;
  Activation squeeze_activation, activation;
  ChannelVector y;
};

// Threads of a one-dimensional block; each function ends where a barrier must follow.
template <int Threads>
__device__ inline void load_means(const GateOfMeans& g, int n, float* mean) {
  for (int k = 0; k < g.maps; ++k)
    for (int c = static_cast<int>(threadIdx.x); c < g.mean[k].channels; c += Threads)
      mean[g.mean[k].first + c] = g.mean[k](n, c);
}
// The hidden values from `begin` on. A warp works on several at once, so that many loads are under way.
template <int Threads>
__device__ inline void squeeze(const GateOfMeans& g, const float* mean, int begin, int end, float* hidden) {
  constexpr int kWarps = Threads / kWarpSize, kRows = 8;
  for (int first = begin + warp_id(); first < end; first += kRows * kWarps) {
    float sum[kRows] = {};
#pragma unroll 2
    for (int c = lane_id(); c < g.channels; c += kWarpSize)
#pragma unroll
      for (int k = 0; k < kRows; ++k)
        if (const int r = first + k * kWarps; r < end)
          sum[k] += g.squeeze[static_cast<std::int64_t>(r) * g.channels + c] * mean[c];
#pragma unroll
    for (int k = 0; k < kRows; ++k) {
      const int r = first + k * kWarps;
      if (r >= end) break;
      const float total = warp_sum(sum[k]) + (g.squeeze_bias ? g.squeeze_bias[r] : 0);
      if (lane_id() == 0) hidden[r - begin] = apply(g.squeeze_activation, total);
    }
  }
}
// f(o, what those hidden values add to output o). A thread works on several at once here, too.
template <int Threads, class F>
__device__ inline void excite(const GateOfMeans& g, const float* hidden, int begin, int end, F&& f) {
  constexpr int kOutputs = 4;
  for (int first = static_cast<int>(threadIdx.x); first < g.outputs; first += kOutputs * Threads) {
    const float* const weight = g.excite + static_cast<std::int64_t>(begin) * g.outputs + first;
    float sum[kOutputs] = {};
#pragma unroll 4
    for (int r = 0; r < end - begin; ++r)
#pragma unroll
      for (int k = 0; k < kOutputs; ++k)
        if (first + k * Threads < g.outputs)
          sum[k] += weight[static_cast<std::int64_t>(r) * g.outputs + k * Threads] * hidden[r];
#pragma unroll
    for (int k = 0; k < kOutputs; ++k)
      if (first + k * Threads < g.outputs) f(first + k * Threads, sum[k]);
  }
}
__device__ inline void store_gate(const GateOfMeans& g, int n, int o, float sum) {
  g.y(n, o) = apply(g.activation, sum + (g.excite_bias ? g.excite_bias[o] : 0));
}

// All of it for image n, by one block.
template <int Threads>
__device__ inline void make_gate(const GateOfMeans& g, int n, float* shared) {
  float* const hidden = shared + g.channels;
  load_means<Threads>(g, n, shared);
  __syncthreads();
  squeeze<Threads>(g, shared, 0, g.hidden, hidden);
  __syncthreads();
  excite<Threads>(g, hidden, 0, g.hidden, [&](int o, float sum) { store_gate(g, n, o, sum); });
}

// ---- the launcher's part

// A gate with its weights in device memory, and where it finds its means in a run.
class GateOfStep {
 public:
  GateOfStep() = default;
  // in: the means, then the parameters, as ChannelGate has them. `own`: the one of the means that the kernel itself makes,
  // -1: none.
  GateOfStep(const ChannelGate& op, std::span<const Operand> in, const Operand& y, CudaBackend& backend, int own = -1)
      : own_(own), y_(y) {
    const std::size_t count = op.maps(in.size());
    means_.assign(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(count));
    const Operand &w1 = in[count], &w2 = in[count + 1 + op.bias];
    gate_.maps = static_cast<int>(count), gate_.channels = static_cast<int>(w1.desc.extent[1]);
    gate_.hidden = static_cast<int>(w1.desc.extent[0]), gate_.outputs = static_cast<int>(w2.desc.extent[0]);
    gate_.squeeze_activation = op.squeeze_activation, gate_.activation = op.activation;
    std::int64_t first = 0;
    for (std::size_t k = 0; k < count; first += in[k++].desc.c())
      gate_.mean[k] = ChannelVector(in[k].desc, nullptr, first);
    gate_.y = ChannelVector(y.desc, nullptr);
    const auto as_is = [&](const Operand& o) {
      return packed<float>(backend, o, "it is", o.desc.elements(),
                           [n = o.desc.elements()](const float* from, float* to) { std::copy_n(from, n, to); });
    };
    const auto turned = [hidden = gate_.hidden, outputs = gate_.outputs](const float* from, float* to) {
      for (int r = 0; r < hidden; ++r)
        for (int o = 0; o < outputs; ++o) *to++ = from[std::int64_t{o} * hidden + r];
    };
    const auto keep = [&](std::shared_ptr<const float> weight) {
      weights_.push_back(weight);
      return weight.get();
    };
    gate_.squeeze = keep(as_is(w1));
    gate_.excite = keep(packed<float>(backend, w2, "inputs, outputs", w2.desc.elements(), turned));
    if (op.bias) gate_.squeeze_bias = keep(as_is(in[count + 1])), gate_.excite_bias = keep(as_is(in[count + 3]));
  }

  const GateOfMeans& shape() const { return gate_; }
  GateOfMeans at(const RunArgs& args, float* own_means = nullptr) const {
    GateOfMeans gate = gate_;
    for (std::size_t k = 0; k < means_.size(); ++k)
      gate.mean[k].data = static_cast<int>(k) == own_ ? own_means : args.pointer<float>(means_[k]);
    if (gate.maps > 0) gate.y.data = args.pointer<float>(y_);
    return gate;
  }

 private:
  int own_ = -1;
  Operand y_;
  std::vector<Operand> means_;
  std::vector<std::shared_ptr<const float>> weights_;
  GateOfMeans gate_;
};

}  // namespace fathom::gpu
