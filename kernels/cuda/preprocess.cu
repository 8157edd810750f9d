// y = (x / 255 - mean[c]) / std[c], from the bytes of a photograph.
#include "chunks.cuh"
#include "kernels.hpp"

namespace fathom {

namespace gpu {

inline constexpr int kPhotographChannels = 16;  // at most
struct PreprocessMap {
  static constexpr int kWidest = 1;
  ChunkMap x, y;
  float scale[kPhotographChannels], shift[kPhotographChannels];
  template <int Width>
  __device__ void run(const Chunk& at) const {
    Vec<float, Width> v = x.load_chunk<Width>(at);
#pragma unroll
    for (int i = 0; i < Width; ++i)
      if (at.c + i < kPhotographChannels) v[i] = scale[at.c + i] * v[i] + shift[at.c + i];
    y.store_chunk(at, v);
  }
};

}  // namespace gpu

Step prepare(const Preprocess& op, const NodeIo& io, CudaBackend&) {
  using namespace gpu;
  Step step = describe(op, io);
  const Operand x = io.in[0], y = io.out;
  if (y.desc.c() > kPhotographChannels)
    throw Error(ErrorKind::unsupported, step.op + " '" + io.name + "' on a GPU: photographs have at most " +
                                            std::to_string(kPhotographChannels) + " channels, this one " +
                                            std::to_string(y.desc.c()));
  PreprocessMap f{};
  for (std::size_t c = 0; c < static_cast<std::size_t>(y.desc.c()); ++c) {
    const double mean = op.mean[op.mean.size() == 1 ? 0 : c], std = op.std[op.std.size() == 1 ? 0 : c];
    f.scale[c] = static_cast<float>(1 / (255 * std)), f.shift[c] = static_cast<float>(-mean / std);
  }
  step.kernel = chunk_text(1);
  step.run = [=](const RunArgs& args) {
    PreprocessMap map = f;
    map.x = ChunkMap(x.desc, args.data[x.id], 1), map.y = ChunkMap(y.desc, args.data[y.id], 1);
    launch_chunks(1, y.desc, args.stream, map);
  };
  return step;
}

}  // namespace fathom
