// The fast CPU kernels: oneDNN for convolutions and pools, threaded vector loops for the rest; fp32, channels-last.
#pragma once

#include "engine/backend_cpu.hpp"
#include "engine/plan.hpp"
#include "engine/step.hpp"

namespace fathom {

Step prepare(const Conv2d& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const InvertedResidual& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const ConvTranspose2d& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const Linear& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const ChannelGate& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const BatchNorm& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const Activation& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const Pool& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const ConvPool& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const PoolChain& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const GlobalMean& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const Add& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const Multiply& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const Affine& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const Concat& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const Resize& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const PixelShuffle& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const Pad& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const Slice& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const Reshape& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const BoxFilter& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const GuidedFilter& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const Preprocess& op, const NodeIo& io, CpuBackend& backend);
Step prepare(const DisparityToDepth& op, const NodeIo& io, CpuBackend& backend);

// What the kernels above can do with memory.
StorageRules cpu_storage_rules();

}  // namespace fathom
