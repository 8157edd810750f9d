// Reshape: the same elements in N, C, H, W order, cut anew per image. Most often it hands a map to the caller as rows
// of (N, C, H, W): a transposition, which goes through shared memory so that both sides are read and written in long
// runs.
#include "chunks.cuh"
#include "kernels.hpp"

namespace fathom {

namespace gpu {

// A thread for each element of y, in y's memory order.
struct ReshapeMap {
  static constexpr int kWidest = 1;
  ChunkMap x, y;
  Divisor x_plane, x_row;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    const int k = (at.c * y.bytes.extent[2] + at.h) * y.bytes.extent[3] + at.w;  // in C, H, W order
    const int c = x_plane.quotient(k), inside = k - c * x_plane.divisor, h = x_row.quotient(inside);
    const float value = at.c < y.bytes.extent[1] ? x.load(at.n, c, h, inside - h * x_row.divisor) : 0;
    y.store_chunk(at, Vec<float, 1>{value});
  }
};

// y = x where both have the same order in memory.
struct CopyFlat {
  static constexpr int kNarrowest = 4, kWidest = 4;
  ChunkMap x, y;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    y.store_chunk(at, x.load_chunk<Width>(at));
  }
};

// A block takes 32 pixels and 8 chunks of channels of x; y is (N, C H W, 1, 1) in float32.
inline constexpr int kTilePixels = 32, kTileChunks = 8;
struct Planes {
  ChunkMap x, y;
  Divisor x_row;
  int pixels;  // of an image
};

// grid (tiles of pixels, tiles of channels, images)
template <int Width>
__global__ void __launch_bounds__(kTilePixels* kTileChunks) planes_kernel(const __grid_constant__ Planes f) {
  GPU_SHARED(float, tile, [kTileChunks * Width][kTilePixels + 1]);  // channel, pixel
  const int first_pixel = static_cast<int>(blockIdx.x) * kTilePixels, n = static_cast<int>(blockIdx.z);
  const int first_channel = static_cast<int>(blockIdx.y) * kTileChunks * Width;
  {
    const int chunk = static_cast<int>(threadIdx.x) % kTileChunks * Width;
    const int pixel = static_cast<int>(threadIdx.x) / kTileChunks, k = first_pixel + pixel;
    if (k < f.pixels && first_channel + chunk < f.x.bytes.extent[1]) {
      const int h = f.x_row.quotient(k);
      const Vec<float, Width> v = f.x.load_chunk<Width>({n, first_channel + chunk, h, k - h * f.x_row.divisor});
#pragma unroll
      for (int i = 0; i < Width; ++i) tile[chunk + i][pixel] = v[i];
    }
  }
  __syncthreads();
  const int pixel = lane_id(), k = first_pixel + pixel;
#pragma unroll
  for (int round = 0; round < Width; ++round) {  // a warp writes a run of one channel's plane
    const int channel = round * kTileChunks + warp_id(), c = first_channel + channel;
    if (k < f.pixels && c < f.x.bytes.extent[1])
      f.y.store_chunk({n, c * f.pixels + k, 0, 0}, Vec<float, 1>{tile[channel][pixel]});
  }
}

}  // namespace gpu

namespace {

using namespace gpu;

// Whether N, C, H, W order is the order in memory.
bool is_planar(const Desc& d) { return (d.c() == 1 || d.h() * d.w() == 1) && is_one_pixel(d); }

}  // namespace

Step prepare(const Reshape& op, const NodeIo& io, CudaBackend&) {
  Step step = begin(op, io);
  const Operand x = io.in[0], y = io.out;
  const int pixels = static_cast<int>(x.desc.h() * x.desc.w());
  const Divisor plane(pixels), row(static_cast<int>(x.desc.w()));
  if (is_planar(x.desc) && is_planar(y.desc)) {
    const Desc from = as_one_pixel(x.desc), to = as_one_pixel(y.desc);
    const int width = 4;  // floats: maps of one channel or one pixel are never halves
    step.kernel = "copy, " + chunk_text(width);
    step.run = [=](const RunArgs& args) {
      launch_chunks(width, to, args.stream,
                    CopyFlat{ChunkMap(from, args.data[x.id], width), ChunkMap(to, args.data[y.id], width)});
    };
    return step;
  }
  step.refused = {"copy: the orders in memory differ"};
  if (y.desc.h() * y.desc.w() == 1 && y.desc.dtype == DType::f32 && x.desc.c() >= 8 && pixels > 1) {
    const int width = chunk_width({x.desc}), channels = kTileChunks * width;
    step.kernel = "transposed tiles, " + chunk_text(width);
    const LaunchShape shape{
        .grid = dim3(static_cast<unsigned>((pixels + kTilePixels - 1) / kTilePixels),
                     static_cast<unsigned>((x.desc.c() + channels - 1) / channels), static_cast<unsigned>(x.desc.n())),
        .block = dim3(kTilePixels * kTileChunks)};
    step.run = [=](const RunArgs& args) {
      const Planes f{ChunkMap(x.desc, args.data[x.id], width), ChunkMap(y.desc, args.data[y.id], 1), row, pixels};
      with_width(width, [&]<int Width>(std::integral_constant<int, Width>) {
        launch(planes_kernel<Width>, shape, static_cast<cudaStream_t>(args.stream), f);
      });
    };
    return step;
  }
  step.refused.push_back("transposed tiles: it is for maps of 8 channels and more that become rows");
  step.kernel = chunk_text(1);
  step.run = [=](const RunArgs& args) {
    launch_chunks(1, y.desc, args.stream,
                  ReshapeMap{ChunkMap(x.desc, args.data[x.id], 1), ChunkMap(y.desc, args.data[y.id], 1), plane, row});
  };
  return step;
}

}  // namespace fathom
