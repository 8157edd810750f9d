// The CUDA kernels: one file per op or family of ops, kernel first, launcher after. What they may count on:
// - Maps are channels-last, channels side by side (stride 1), in f32 or f16, as the operands' Desc says. Halves of 8 channels
//   and more have each pixel padded to a multiple of 8 (Desc::stride[3]); the padding holds zeros, and whoever writes such
//   a map writes them too. Slices of wider maps begin and end at multiples of 8 channels.
// - Maps in the arena are aligned to 16 bytes, and so are the caller's outputs; the caller's photographs (u8) to nothing.
// - Parameters are constants: float32 on the host, packed once by CudaBackend::packed.
// - Sums run in float32 and in a fixed order.
#pragma once

#include "engine/cuda/backend_cuda.hpp"
#include "engine/plan.hpp"
#include "engine/step.hpp"

namespace fathom {

Step prepare(const Conv2d& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const InvertedResidual& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const ConvTranspose2d& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const Linear& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const ChannelGate& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const BatchNorm& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const Activation& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const Pool& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const ConvPool& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const PoolChain& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const GlobalMean& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const Add& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const Multiply& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const Affine& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const Concat& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const Resize& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const PixelShuffle& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const Pad& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const Slice& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const Reshape& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const BoxFilter& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const GuidedFilter& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const Preprocess& op, const NodeIo& io, CudaBackend& backend);
Step prepare(const DisparityToDepth& op, const NodeIo& io, CudaBackend& backend);

// The names that a Conv2d's Step::kernel begins with, in the order in which they are tried.
std::vector<std::string> conv_choices();

// The same by NVIDIA's libraries, the likeliest first; none where they are not, or the problem is none of theirs.
std::vector<Step> library_steps(const Conv2d& op, const NodeIo& io, CudaBackend& backend);

// How a map between is stored where an op is run in parts (kernels/in_parts.hpp): in halves, if the op's own maps are.
inline auto map_between(const NodeIo& io) {
  const bool halves = io.in[0].desc.dtype == DType::f16 || io.out.desc.dtype == DType::f16;
  return [=](const Desc& map) { return halves ? in_halves(map) : map; };
}

// What the kernels above can do with memory.
StorageRules cuda_storage_rules();
// Why this thread's GPU can run none of them; empty: it can.
std::string why_no_kernels();

}  // namespace fathom
