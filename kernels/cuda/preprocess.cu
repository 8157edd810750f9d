// y = (x / 255 - mean[c]) / std[c], from the bytes of a photograph. A thread makes neighbouring elements: four where
// the map allows it.
#include "chunks.cuh"
#include "kernels.hpp"

namespace fathom {

namespace gpu {

inline constexpr int kPhotographChannels = 16;  // at most
struct PreprocessMap {
  static constexpr int kWidest = 4;
  ChunkMap x, y;     // one pixel of many channels where both are without gaps
  Divisor channels;  // of a pixel
  float scale[kPhotographChannels], shift[kPhotographChannels];  // y = scale x + shift
  template <int Width>
  __device__ void run(const Chunk& at) const {
    Vec<float, Width> v = x.load_chunk<Width>(at);  // bytes are aligned to nothing: one by one
#pragma unroll
    for (int i = 0; i < Width; ++i) {
      const int k = at.c + i, c = k - channels.quotient(k) * channels.divisor;
      v[i] = scale[c] * v[i] + shift[c];
    }
    y.store_chunk(at, v);
  }
};

}  // namespace gpu

Step prepare(const Preprocess& op, const NodeIo& io, CudaBackend&) {
  using namespace gpu;
  Step step = begin(op, io);
  Operand x = io.in[0], y = io.out;
  if (y.desc.c() > kPhotographChannels)
    throw Error(ErrorKind::unsupported, step.op + " '" + io.name + "' on a GPU: photographs have at most " +
                                            std::to_string(kPhotographChannels) + " channels, this one " +
                                            std::to_string(y.desc.c()));
  PreprocessMap f{};
  f.channels = Divisor(static_cast<int>(y.desc.c()));
  for (std::size_t c = 0; c < static_cast<std::size_t>(y.desc.c()); ++c) {
    const double mean = op.mean[op.mean.size() == 1 ? 0 : c], std = op.std[op.std.size() == 1 ? 0 : c];
    f.scale[c] = static_cast<float>(1 / (255 * std)), f.shift[c] = static_cast<float>(-mean / std);
  }
  const bool flat = is_one_pixel(y.desc) && is_one_pixel(x.desc);
  if (flat) x.desc = as_one_pixel(x.desc), y.desc = as_one_pixel(y.desc);
  const int width = flat ? 4 : 1;
  step.kernel = flat ? "four elements a thread" : chunk_text(1);
  step.run = [=](const RunArgs& args) {
    PreprocessMap map = f;
    map.x = ChunkMap(x.desc, args.data[x.id], width), map.y = ChunkMap(y.desc, args.data[y.id], width);
    map.x.loose = true;
    launch_chunks(width, y.desc, args.stream, map);
  };
  return step;
}

}  // namespace fathom
