// y(n, c, 0, 0) = mean over h, w of x, in two stages: a block sums some pixels of some channels; of the blocks that
// share channels, the last one to finish adds their sums. All in fixed order, in float32.
#include "chunks.cuh"
#include "kernels.hpp"

namespace fathom {

namespace gpu {

inline constexpr int kMeanThreads = 256;
inline constexpr int kMeanChunks = 8;                           // of channels, side by side in a block
inline constexpr int kMeanPixels = kMeanThreads / kMeanChunks;  // at a time

struct MeanMap {
  ChunkMap x, y;
  Divisor columns;     // of a row of x
  int pixels, part;    // of an image, of a block
  float* partial;      // (N, parts, stored channels); not used where there is one part
  unsigned* counters;  // (N, groups of channels)
  int stored;
};

// grid (parts, groups of channels, images)
template <int Width>
__global__ void __launch_bounds__(kMeanThreads) mean_kernel(const __grid_constant__ MeanMap f) {
  GPU_SHARED(float, sums, [kMeanPixels][kMeanChunks * Width]);
  const int lane = static_cast<int>(threadIdx.x) % kMeanChunks, row = static_cast<int>(threadIdx.x) / kMeanChunks;
  const int group = static_cast<int>(blockIdx.y) * kMeanChunks * Width, c = group + lane * Width;
  const int n = static_cast<int>(blockIdx.z), parts = static_cast<int>(gridDim.x);
  const int begin = static_cast<int>(blockIdx.x) * f.part, end = min(begin + f.part, f.pixels);

  Vec<float, Width> sum{};
  if (c < f.stored) {
#pragma unroll 4
    for (int k = begin + row; k < end; k += kMeanPixels) {
      const int h = f.columns.quotient(k);
      const Vec<float, Width> v = f.x.load_chunk<Width>({n, c, h, k - h * f.columns.divisor});
#pragma unroll
      for (int i = 0; i < Width; ++i) sum[i] += v[i];
    }
  }
#pragma unroll
  for (int i = 0; i < Width; ++i) sums[row][lane * Width + i] = sum[i];
  __syncthreads();

  // A thread for each channel of the group from here on.
  const int own = static_cast<int>(threadIdx.x), channel = group + own;
  const bool mine = own < kMeanChunks * Width && channel < f.stored;
  float total = 0;
  if (mine) {
    for (int k = 0; k < kMeanPixels; ++k) total += sums[k][own];
  }
  if (parts > 1) {
    float* const partial = f.partial + static_cast<std::int64_t>(n) * parts * f.stored + channel;
    if (mine) partial[static_cast<std::int64_t>(blockIdx.x) * f.stored] = total;
    if (!last_block(f.counters + n * gridDim.y + blockIdx.y, gridDim.x)) return;
    total = 0;
    if (mine) {
      for (int k = 0; k < parts; ++k) total += partial[static_cast<std::int64_t>(k) * f.stored];
    }
  }
  if (mine && channel < f.y.bytes.extent[1])
    f.y.store_chunk({n, channel, 0, 0}, Vec<float, 1>{total / static_cast<float>(f.pixels)});
}

}  // namespace gpu

Step prepare(const GlobalMean& op, const NodeIo& io, CudaBackend& backend) {
  using namespace gpu;
  Step step = begin(op, io);
  const Operand x = io.in[0], y = io.out;
  const int width = chunk_width({x.desc}), stored = stored_channels(x.desc);
  const int groups = (stored + kMeanChunks * width - 1) / (kMeanChunks * width);
  const int pixels = static_cast<int>(x.desc.h() * x.desc.w()), images = static_cast<int>(x.desc.n());
  // As many blocks as fill the GPU twice, but at least two rounds of pixels each.
  const int wanted = std::max(1, 2 * backend.gpu().multiprocessors / (groups * images));
  const int parts = std::max(1, std::min(wanted, pixels / (2 * kMeanPixels)));
  const int part = (pixels + parts - 1) / parts;
  if (parts > 1) {
    step.workspace_bytes = std::int64_t{images} * parts * stored * 4;
    step.counters = images * groups;
  }
  step.kernel = (parts > 1 ? "in " + std::to_string(parts) + " parts, " : "") + chunk_text(width);
  step.run = [=](const RunArgs& args) {
    const MeanMap f{ChunkMap(x.desc, args.data[x.id], width),
                    ChunkMap(y.desc, args.data[y.id], 1),
                    Divisor(static_cast<int>(x.desc.w())),
                    pixels,
                    part,
                    reinterpret_cast<float*>(args.workspace),
                    args.counters,
                    stored};
    const LaunchShape shape{
        .grid = dim3(static_cast<unsigned>(parts), static_cast<unsigned>(groups), static_cast<unsigned>(images)),
        .block = dim3(kMeanThreads)};
    with_width(width, [&]<int Width>(std::integral_constant<int, Width>) {
      launch(mean_kernel<Width>, shape, static_cast<cudaStream_t>(args.stream), f);
    });
  };
  return step;
}

}  // namespace fathom
