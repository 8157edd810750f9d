// ChannelGate: the steps of its means and of its two linear layers, one after the other, on a workspace between them.
#include "fathom/error.hpp"
#include "kernels/cpu/kernels.hpp"

namespace fathom {

Step prepare(const ChannelGate& op, const NodeIo& io, CpuBackend& backend) {
  constexpr std::size_t most_maps = 16;
  const std::size_t count = op.maps(io.in.size());
  if (count > most_maps)
    throw Error(ErrorKind::unsupported,
                "ChannelGate '" + io.name + "' on the CPU takes at most 16 maps, got " + std::to_string(count));
  const Operand& squeeze = io.in[count];
  const std::int64_t n = io.out.desc.n(), hidden = squeeze.desc.extent[0], channels = squeeze.desc.extent[1];
  // Ids of its own: the maps, then their means side by side, the hidden layer and the gate; each mean is a slice.
  const auto vector = [&](std::size_t id, std::int64_t c) {
    return Operand{static_cast<int>(id), Desc::nhwc(n, c, 1, 1), io.name, nullptr};
  };
  const Operand means = vector(count, channels), middle = vector(count + 1, hidden);
  Operand gate = io.out;
  gate.id = static_cast<int>(count) + 2;

  std::vector<Step> steps;
  std::vector<std::int64_t> slice;  // of the mean of each map
  std::int64_t channel = 0;
  for (std::size_t k = 0; k < count; ++k) {
    Operand map = io.in[k];
    map.id = static_cast<int>(k);
    Operand mean = vector(count, map.desc.c());
    mean.desc.stride[0] = channels;
    steps.push_back(prepare(GlobalMean{}, {.name = io.name, .in = {map}, .out = mean}, backend));
    slice.push_back(channel);
    channel += map.desc.c();
  }
  const auto layer = [&](const Operand& x, const Operand& y, std::size_t first, const Activation& f) {
    NodeIo linear{.name = io.name, .in = {x, io.in[first]}, .out = y};
    if (op.bias) linear.in.push_back(io.in[first + 1]);
    Linear l{.activation = f};
    l.bias = op.bias;
    steps.push_back(prepare(l, linear, backend));
  };
  layer(means, middle, count, op.squeeze_activation);
  layer(middle, gate, count + 1 + op.bias, op.activation);

  Step step = describe(op, io);
  step.kernel = "means, then two linear layers";
  std::int64_t inner = 0;
  for (const Step& s : steps) inner = std::max(inner, (s.workspace_bytes + 63) / 64 * 64);
  step.workspace_bytes = inner + (n * (channels + hidden)) * static_cast<std::int64_t>(sizeof(float));
  step.run = [steps, slice, count, inner, n, channels, in = io.in, out = io.out](const RunArgs& args) {
    void* data[most_maps + 3];
    auto* mean = reinterpret_cast<float*>(args.workspace + inner);
    for (std::size_t k = 0; k < count; ++k) data[k] = args.data[in[k].id];
    data[count + 1] = mean + n * channels, data[count + 2] = args.data[out.id];
    for (std::size_t k = 0; k < steps.size(); ++k) {
      data[count] = mean + (k < count ? slice[k] : 0);
      steps[k].run({data, args.workspace, args.stream});
    }
  };
  return step;
}

}  // namespace fathom
