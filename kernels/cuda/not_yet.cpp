// Ops that have no CUDA kernel yet.
#include "fathom/error.hpp"
#include "kernels/cuda/kernels.hpp"

namespace fathom {

namespace {
[[noreturn]] Step refuse(const char* op, const NodeIo& io) {
  throw Error(ErrorKind::unsupported, std::string(op) + " '" + io.name + "' has no CUDA kernel yet");
}
}  // namespace

Step prepare(const BatchNorm&, const NodeIo& io, CudaBackend&) { refuse(BatchNorm::name, io); }
Step prepare(const Pool&, const NodeIo& io, CudaBackend&) { refuse(Pool::name, io); }
Step prepare(const GlobalMean&, const NodeIo& io, CudaBackend&) { refuse(GlobalMean::name, io); }
Step prepare(const Add&, const NodeIo& io, CudaBackend&) { refuse(Add::name, io); }
Step prepare(const Multiply&, const NodeIo& io, CudaBackend&) { refuse(Multiply::name, io); }
Step prepare(const Concat&, const NodeIo& io, CudaBackend&) { refuse(Concat::name, io); }
Step prepare(const Resize&, const NodeIo& io, CudaBackend&) { refuse(Resize::name, io); }
Step prepare(const PixelShuffle&, const NodeIo& io, CudaBackend&) { refuse(PixelShuffle::name, io); }
Step prepare(const Pad&, const NodeIo& io, CudaBackend&) { refuse(Pad::name, io); }
Step prepare(const Slice&, const NodeIo& io, CudaBackend&) { refuse(Slice::name, io); }
Step prepare(const Reshape&, const NodeIo& io, CudaBackend&) { refuse(Reshape::name, io); }
Step prepare(const BoxFilter&, const NodeIo& io, CudaBackend&) { refuse(BoxFilter::name, io); }
Step prepare(const GuidedFilter&, const NodeIo& io, CudaBackend&) { refuse(GuidedFilter::name, io); }
Step prepare(const Preprocess&, const NodeIo& io, CudaBackend&) { refuse(Preprocess::name, io); }

}  // namespace fathom
