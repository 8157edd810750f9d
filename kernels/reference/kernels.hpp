// The meaning of every op: one function each, in kernels/reference/<op>.cpp. A fused Conv2d runs here too.
#pragma once

#include "engine/backend_reference.hpp"
#include "engine/step.hpp"

namespace fathom {

Step prepare(const Conv2d& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const InvertedResidual& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const ConvTranspose2d& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const Linear& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const ChannelGate& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const BatchNorm& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const Activation& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const Pool& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const ConvPool& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const PoolChain& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const GlobalMean& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const Add& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const Multiply& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const Affine& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const Concat& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const Resize& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const PixelShuffle& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const Pad& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const Slice& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const Reshape& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const BoxFilter& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const GuidedFilter& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const Preprocess& op, const NodeIo& io, ReferenceBackend& backend);
Step prepare(const DisparityToDepth& op, const NodeIo& io, ReferenceBackend& backend);

}  // namespace fathom
