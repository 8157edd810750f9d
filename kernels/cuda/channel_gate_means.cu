// ChannelGate whose means are known before it begins, as convolutions give them (Conv2d::mean):
//   y = activation(W2 squeeze_activation(W1 mean + b1) + b2)
// One block would read all weights of both layers by itself, megabytes in the deepest layers. Here each block takes
// some of the hidden values: their rows of W1, and what they add to all outputs by their columns of W2. The block of an
// image that comes last adds up these parts in their order. Everything in float32.
#include <algorithm>

#include "activation.cuh"
#include "channel_gate.cuh"
#include "constants.hpp"
#include "gpu.cuh"
#include "kernels.hpp"
#include "reduce.cuh"
#include "vec.cuh"

namespace fathom {

namespace gpu {

namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarpSize;

struct MeansGate {
  int maps = 0, channels = 0, hidden = 0, outputs = 0;
  AnyMap mean[kGateMaps];          // (N, C_k, 1, 1)
  int first[kGateMaps] = {};       // channel of the concat
  int part = 0;                    // hidden values of a block
  const float* squeeze = nullptr;  // (hidden, channels)
  const float* excite = nullptr;   // (hidden, outputs)
  const float *squeeze_bias = nullptr, *excite_bias = nullptr;
  Activation squeeze_activation, activation;
  float* sums = nullptr;  // (N, parts, outputs); not used where there is one part
  unsigned* counters = nullptr;
  AnyMap y;
};

// grid (parts, images); shared: channels and part floats
__global__ void __launch_bounds__(kThreads) means_gate_kernel(const __grid_constant__ MeansGate t) {
  GPU_DYNAMIC_SHARED(bytes);
  float* const mean = reinterpret_cast<float*>(bytes);
  float* const hidden = mean + t.channels;
  const int thread = static_cast<int>(threadIdx.x), n = static_cast<int>(blockIdx.y);
  const int parts = static_cast<int>(gridDim.x), part = static_cast<int>(blockIdx.x);
  for (int k = 0; k < t.maps; ++k)
    for (int c = thread; c < t.mean[k].bytes.extent[1]; c += kThreads)
      mean[t.first[k] + c] = t.mean[k].load(n, c, 0, 0);
  __syncthreads();

  const int begin = part * t.part, end = min(begin + t.part, t.hidden);
  for (int r = begin + warp_id(); r < end; r += kWarps) {  // a warp for each
    const float* const weight = t.squeeze + static_cast<std::int64_t>(r) * t.channels;
    float sum = 0;
#pragma unroll 8
    for (int c = lane_id(); c < t.channels; c += kWarpSize) sum += weight[c] * mean[c];
    sum = warp_sum(sum);
    if (lane_id() == 0) hidden[r - begin] = apply(t.squeeze_activation, sum + (t.squeeze_bias ? t.squeeze_bias[r] : 0));
  }
  __syncthreads();

  const auto store = [&](int o, float sum) {
    t.y.store(n, o, 0, 0, apply(t.activation, sum + (t.excite_bias ? t.excite_bias[o] : 0)));
  };
  float* const sums = t.sums + static_cast<std::int64_t>(n) * parts * t.outputs;
  for (int o = thread; o < t.outputs; o += kThreads) {  // a thread for each
    const float* const weight = t.excite + static_cast<std::int64_t>(begin) * t.outputs + o;
    float sum = 0;
#pragma unroll 8
    for (int r = 0; r < end - begin; ++r) sum += weight[static_cast<std::int64_t>(r) * t.outputs] * hidden[r];
    parts == 1 ? store(o, sum) : void(sums[static_cast<std::int64_t>(part) * t.outputs + o] = sum);
  }
  if (parts == 1 || !last_block(t.counters + n, static_cast<unsigned>(parts))) return;
  for (int o = thread; o < t.outputs; o += kThreads) {
    float sum = 0;
#pragma unroll 8
    for (int p = 0; p < parts; ++p) sum += sums[static_cast<std::int64_t>(p) * t.outputs + o];
    store(o, sum);
  }
}

// Parts of the hidden values: none, where all weights are soon read; else so many that a block's weights and what the
// last one adds up are about as much.
int parts_of(int channels, int hidden, int outputs) {
  constexpr std::int64_t soon_bytes = 64 * 1024;
  constexpr int most_parts = 16;
  if (std::int64_t{4} * hidden * (channels + outputs) <= soon_bytes) return 1;
  return std::min(most_parts, (hidden + kWarps - 1) / kWarps);
}

}  // namespace

bool fits_means_gate(const ChannelGate& op, const NodeIo& io) {
  const auto maps = io.inputs().first(op.maps(io.in.size()));
  const std::int64_t channels = io.in[maps.size()].desc.extent[1];
  constexpr std::int64_t most_channels = 8192;  // in shared memory
  return channels <= most_channels &&
         std::all_of(maps.begin(), maps.end(), [](const Operand& x) { return x.desc.h() * x.desc.w() == 1; });
}

void build_means_gate(const ChannelGate& op, const NodeIo& io, CudaBackend& backend, Step& step) {
  const std::size_t count = op.maps(io.in.size());
  const Operand &squeeze = io.in[count], &excite = io.in[count + 1 + op.bias];
  MeansGate gate;
  gate.maps = static_cast<int>(count);
  gate.channels = static_cast<int>(squeeze.desc.extent[1]), gate.hidden = static_cast<int>(squeeze.desc.extent[0]);
  gate.outputs = static_cast<int>(excite.desc.extent[0]);
  gate.squeeze_activation = op.squeeze_activation, gate.activation = op.activation;
  for (std::size_t k = 1; k < count; ++k) gate.first[k] = gate.first[k - 1] + static_cast<int>(io.in[k - 1].desc.c());
  const int images = static_cast<int>(io.out.desc.n());
  const int wanted = parts_of(gate.channels, gate.hidden, gate.outputs);
  gate.part = (gate.hidden + wanted - 1) / wanted;
  const int parts = (gate.hidden + gate.part - 1) / gate.part;
  if (parts > 1) {
    step.workspace_bytes = std::int64_t{images} * parts * gate.outputs * 4;
    step.counters = images;
  }
  step.kernel = "of means, in " + std::to_string(parts) + (parts == 1 ? " part" : " parts");

  const auto as_is = [&](const Operand& o) {
    return packed<float>(backend, o, "it is", o.desc.elements(),
                         [n = o.desc.elements()](const float* from, float* to) { std::copy_n(from, n, to); });
  };
  const auto w1 = as_is(squeeze);
  const auto w2 = packed<float>(backend, excite, "inputs, outputs", excite.desc.elements(),
                                [hidden = gate.hidden, outputs = gate.outputs](const float* from, float* to) {
                                  for (int r = 0; r < hidden; ++r)
                                    for (int o = 0; o < outputs; ++o) *to++ = from[std::int64_t{o} * hidden + r];
                                });
  const auto b1 = op.bias ? as_is(io.in[count + 1]) : nullptr, b2 = op.bias ? as_is(io.in[count + 3]) : nullptr;
  const LaunchShape shape{.grid = dim3(static_cast<unsigned>(parts), static_cast<unsigned>(images)),
                          .block = dim3(kThreads),
                          .shared_bytes = static_cast<std::size_t>(gate.channels + gate.part) * 4};
  step.run = [=, in = io.in, out = io.out](const RunArgs& args) {
    MeansGate now = gate;
    for (std::size_t k = 0; k < count; ++k) now.mean[k] = AnyMap(in[k].desc, args.data[in[k].id]);
    now.squeeze = w1.get(), now.squeeze_bias = b1.get(), now.excite = w2.get(), now.excite_bias = b2.get();
    now.sums = reinterpret_cast<float*>(args.workspace), now.counters = args.counters;
    now.y = AnyMap(out.desc, args.data[out.id]);
    launch(means_gate_kernel, shape, static_cast<cudaStream_t>(args.stream), now);
  };
}

}  // namespace gpu

}  // namespace fathom
