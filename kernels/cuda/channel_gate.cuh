// What the two kernels of ChannelGate share.
#pragma once
#include "kernels.hpp"
#include "map.cuh"

namespace fathom::gpu {

inline constexpr int kGateMaps = 16;

// Of maps of one pixel, the means already: channel_gate_means.cu.
bool fits_means_gate(const ChannelGate& op, const NodeIo& io);
void build_means_gate(const ChannelGate& op, const NodeIo& io, CudaBackend& backend, Step& step);

}  // namespace fathom::gpu
