// Linear: y(n, o) = act(sum over c of x(n, c) w(o, c) + bias(o)).
// One warp makes one output; its lanes share out the channels and add up their sums in fixed order. Weights and sums in
// float32.
#include "conv.cuh"

namespace fathom {

namespace gpu {

namespace {

constexpr int kWarps = 4;

__global__ void linear_kernel(AnyMap x, AnyMap y, const float* weight, const float* bias, int channels, int outputs,
                              int stored, Activation f) {
  const int o = static_cast<int>(blockIdx.x) * kWarps + warp_id(), n = static_cast<int>(blockIdx.y);
  float sum = 0;
  if (o < outputs)
    for (int c = lane_id(); c < channels; c += kWarpSize) sum += x.load(n, c, 0, 0) * weight[o * channels + c];
  sum = warp_sum(sum);
  if (lane_id() == 0 && o < stored) y.store(n, o, 0, 0, o < outputs ? apply(f, sum + (bias ? bias[o] : 0)) : 0);
}

}  // namespace

}  // namespace gpu

using namespace gpu;

Step prepare(const Linear& op, const NodeIo& io, CudaBackend& backend) {
  Step step = describe(op, io);
  step.kernel = "a warp per output";
  const Operand x = io.in[0], y = io.out;
  const int channels = static_cast<int>(x.desc.c()), outputs = static_cast<int>(y.desc.c());
  const int stored = stored_channels(y.desc);
  const auto as_is = [&](const Operand& o, std::int64_t count) {
    return packed<float>(backend, o, "it is", count,
                         [=](const float* from, float* to) { std::copy_n(from, count, to); });
  };
  const auto weight = as_is(io.in[1], std::int64_t{outputs} * channels);
  const auto bias = op.bias ? as_is(io.in[2], outputs) : nullptr;
  const LaunchShape shape{
      .grid = dim3(static_cast<unsigned>((stored + kWarps - 1) / kWarps), static_cast<unsigned>(y.desc.n())),
      .block = kWarps * kWarpSize};
  step.run = [=, f = op.activation](const RunArgs& args) {
    launch(linear_kernel, shape, static_cast<cudaStream_t>(args.stream), AnyMap(x.desc, args.data[x.id]),
           AnyMap(y.desc, args.data[y.id]), weight.get(), bias.get(), channels, outputs, stored, f);
  };
  return step;
}

}  // namespace fathom
