// ChannelGate whose means are known before it begins, as convolutions give them (Conv2d::mean).
//
// One block would read all weights of both layers by itself, megabytes in the deepest layers. Here each block takes
// some of the hidden values: their rows of W1, and what they add to all outputs by their columns of W2. The block of an
// image that comes last adds up these parts in their order.
#include <algorithm>

#include "channel_gate.cuh"
#include "gate_of_means.cuh"
#include "gpu.cuh"
#include "kernels.hpp"

namespace fathom {

namespace gpu {

namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarpSize;

struct GateInParts {
  GateOfMeans gate;
  int part = 0;           // hidden values of a block
  float* sums = nullptr;  // (N, parts, outputs); not used where there is one part
  unsigned* counters = nullptr;
};

// grid (parts, images); shared: channels and part floats
__global__ void __launch_bounds__(kThreads) means_gate_kernel(const __grid_constant__ GateInParts t) {
  GPU_DYNAMIC_SHARED(bytes);
  const GateOfMeans& gate = t.gate;
  float* const mean = reinterpret_cast<float*>(bytes);
  float* const hidden = mean + gate.channels;
  const int thread = static_cast<int>(threadIdx.x), n = static_cast<int>(blockIdx.y);
  const int parts = static_cast<int>(gridDim.x), part = static_cast<int>(blockIdx.x);
  const int begin = part * t.part, end = min(begin + t.part, gate.hidden);
  load_means<kThreads>(gate, n, mean);
  __syncthreads();
  squeeze<kThreads>(gate, mean, begin, end, hidden);
  __syncthreads();

  float* const sums = t.sums + static_cast<std::int64_t>(n) * parts * gate.outputs;
  excite<kThreads>(gate, hidden, begin, end, [&](int o, float sum) {
    parts == 1 ? store_gate(gate, n, o, sum) : void(sums[static_cast<std::int64_t>(part) * gate.outputs + o] = sum);
  });
  if (parts == 1 || !last_block(t.counters + n, static_cast<unsigned>(parts))) return;
  for (int o = thread; o < gate.outputs; o += kThreads) {
    float sum = 0;
#pragma unroll 8
    for (int p = 0; p < parts; ++p) sum += sums[static_cast<std::int64_t>(p) * gate.outputs + o];
    store_gate(gate, n, o, sum);
  }
}

// Parts of the hidden values: none, where all weights are soon read; else so many that a block's weights and what the
// last one adds up are about as much.
int parts_of(const GateOfMeans& gate) {
  constexpr std::int64_t soon_bytes = 64 * 1024;
  constexpr int most_parts = 16;
  if (std::int64_t{4} * gate.hidden * (gate.channels + gate.outputs) <= soon_bytes) return 1;
  return std::min(most_parts, (gate.hidden + kWarps - 1) / kWarps);
}

}  // namespace

bool fits_means_gate(const ChannelGate& op, const NodeIo& io) {
  const auto maps = io.inputs().first(op.maps(io.in.size()));
  const std::int64_t channels = io.in[maps.size()].desc.extent[1];
  constexpr std::int64_t most_channels = 8192;  // in shared memory
  return maps.size() <= kMeansMaps && channels <= most_channels && std::all_of(maps.begin(), maps.end(), [](const Operand& x) {
           return x.desc.h() * x.desc.w() == 1 && x.desc.dtype == DType::f32;
         });
}

void build_means_gate(const ChannelGate& op, const NodeIo& io, CudaBackend& backend, Step& step) {
  const GateOfStep gate(op, io.inputs(), io.out, backend);
  const int images = static_cast<int>(io.out.desc.n()), hidden = gate.shape().hidden, wanted = parts_of(gate.shape());
  const int part = (hidden + wanted - 1) / wanted, parts = (hidden + part - 1) / part;
  if (parts > 1) {
    step.workspace_bytes = std::int64_t{images} * parts * gate.shape().outputs * 4;
    step.counters = images;
  }
  step.kernel = "of means, in " + std::to_string(parts) + (parts == 1 ? " part" : " parts");
  const LaunchShape shape{.grid = dim3(static_cast<unsigned>(parts), static_cast<unsigned>(images)),
                          .block = dim3(kThreads),
                          .shared_bytes = static_cast<std::size_t>(gate.shape().channels + part) * 4};
  step.run = [=](const RunArgs& args) {
    launch(means_gate_kernel, shape, static_cast<cudaStream_t>(args.stream),
           GateInParts{gate.at(args), part, reinterpret_cast<float*>(args.workspace), args.counters});
  };
}

}  // namespace gpu

}  // namespace fathom
