// Implicit GEMM: the rows of a are the pixels of all images, k runs over taps and channels, b is the weight. A block of
// four warps makes 64 pixels x 64 channels, each warp 32 x 32 of them; k goes by 32, in a ring of three stages filled
// by cp.async. fp16 in, sums in fp32 on the tensor cores.
#include "tests/emulator/selftest/conv3x3.hpp"

#include "kernels/cuda/gpu.cuh"

namespace fathom::selftest {
namespace {

using namespace gpu;

constexpr int kTileM = 64, kTileN = 64, kTileK = 32, kStages = 3, kThreads = 128;
using TileA = SwizzledTile<kTileK>;  // 64 rows of pixels
using TileB = SwizzledTile<kTileN>;  // 32 rows of k
constexpr int kStageBytes = TileA::bytes(kTileM) + TileB::bytes(kTileK);

struct Stage {
  TileA a;
  TileB b;
  __device__ Stage(unsigned char* shared, int stage)
      : a{reinterpret_cast<__half*>(shared + stage * kStageBytes)}, b{a.data + TileA::bytes(kTileM) / 2} {}
};

// The pixel that a row of the tile stands for; which of its neighbours there are.
struct Pixel {
  const __half* centre;
  int h, w;
  bool exists;
  __device__ Pixel(const Conv3x3& conv, int row) {
    const int pixels = conv.height * conv.width;
    exists = row < conv.images * pixels;
    const int inside = exists ? row % pixels : 0;
    h = inside / conv.width, w = inside % conv.width;
    centre = conv.x + (exists ? static_cast<std::int64_t>(row) * conv.in_channels : 0);
  }
  template <Mutation M>
  __device__ bool has(const Conv3x3& conv, int dh, int dw) const {
    if (M == Mutation::no_border) return exists && h + dh >= 0 && h + dh < conv.height;
    return exists && h + dh >= 0 && h + dh < conv.height && w + dw >= 0 && w + dw < conv.width;
  }
};

// Asks for 32 columns of k: each thread two chunks of a, always of the same two pixels, and two of b.
template <Mutation M>
__device__ void load_stage(const Conv3x3& conv, const Stage& stage, const Pixel (&pixels)[2], int n0, int k0) {
  const int depth = 9 * conv.in_channels, t = static_cast<int>(threadIdx.x);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int row = t / 4 + 32 * i, chunk = t % 4, k = k0 + chunk * 8;
    const int tap = k / conv.in_channels, c = k % conv.in_channels, dh = tap / 3 - 1, dw = tap % 3 - 1;
    const bool valid = k < depth && pixels[i].template has<M>(conv, dh, dw);
    const __half* source = pixels[i].centre + (dh * conv.width + dw) * conv.in_channels + c;
    cp_async<16>(stage.a.at(row, chunk), valid ? source : conv.x, valid ? 16 : 0);
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int row = t / 8 + 16 * i, chunk = t % 8, k = k0 + row, n = n0 + chunk * 8;
    const bool valid = k < depth && n < conv.out_channels;
    const __half* source = conv.weight + static_cast<std::int64_t>(k) * conv.out_channels + n;
    __half* to = M == Mutation::no_swizzle ? stage.b.data + row * kTileN + chunk * 8 : stage.b.at(row, chunk);
    cp_async<16>(to, valid ? source : conv.weight, valid ? 16 : 0);
  }
}

// A warp's 32 x 32 of the product of one stage.
__device__ void multiply_stage(Accumulator (&sums)[2][4], const Stage& stage) {
  const int m0 = warp_id() / 2 * 32, n0 = warp_id() % 2 * 32;
#pragma unroll
  for (int k = 0; k < kTileK; k += 16) {
    FragmentA a[2];
    FragmentB b[4];
    for (int i = 0; i < 2; ++i) a[i].load(stage.a, m0 + 16 * i, k / 8);
    for (int j = 0; j < 4; j += 2) load_pair(b[j], b[j + 1], stage.b, k, (n0 + 8 * j) / 8);
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 4; ++j) sums[i][j].add_product(a[i], b[j]);
    }
  }
}

template <Mutation M>
__device__ void store_sums(const Conv3x3& conv, const Accumulator (&sums)[2][4], int m0, int n0) {
  const auto relu = [](float v) { return v < 0 ? 0 : v; };
  const int rows = conv.images * conv.height * conv.width;
  for (int i = 0; i < 2; ++i) {
    for (int half = 0; half < 2; ++half) {
      for (int j = 0; j < 4; ++j) {
        const int m = m0 + 16 * i + Accumulator::row(half), n = n0 + 8 * j + Accumulator::column();
        if (m >= rows || (M == Mutation::stores_too_far ? n > conv.out_channels : n >= conv.out_channels)) continue;
        const float low = relu(sums[i][j].first(half) + conv.bias[n]);
        const float high = relu(sums[i][j].second(half) + conv.bias[n + 1]);
        const Vec<__half, 2> pair = {from_float<__half>(low), from_float<__half>(high)};
        store_vec(conv.y + static_cast<std::int64_t>(m) * conv.out_channels + n, pair);
      }
    }
  }
}

template <Mutation M>
__global__ void __launch_bounds__(kThreads) conv3x3_kernel(const __grid_constant__ Conv3x3 conv) {
  GPU_DYNAMIC_SHARED(shared);
  const int m0 = static_cast<int>(blockIdx.x) * kTileM, n0 = static_cast<int>(blockIdx.y) * kTileN;
  const int steps = (9 * conv.in_channels + kTileK - 1) / kTileK, row = static_cast<int>(threadIdx.x) / 4;
  const Pixel pixels[2] = {{conv, m0 + row}, {conv, m0 + row + 32}};
  const auto load = [&](int step) {
    if (step < steps) load_stage<M>(conv, Stage(shared, step % kStages), pixels, n0, step * kTileK);
    cp_async_commit();  // an empty group too: the wait counts groups
  };

  Accumulator sums[2][4];
  for (int step = 0; step < kStages - 1; ++step) load(step);
  for (int step = 0; step < steps; ++step) {
    cp_async_wait<M == Mutation::waits_too_little ? kStages - 1 : kStages - 2>();
    if (M != Mutation::no_barrier) __syncthreads();  // this step's copies are there; nobody reads the last step's stage
    if (M != Mutation::wrong_stage) load(step + kStages - 1);
    multiply_stage(sums, Stage(shared, step % kStages));
    if (M == Mutation::wrong_stage) load(step + kStages);
  }
  store_sums<M>(conv, sums, m0 + warp_id() / 2 * 32, n0 + warp_id() % 2 * 32);
}

template <Mutation M>
void launch_conv(const Conv3x3& conv, cudaStream_t stream) {
  const int rows = conv.images * conv.height * conv.width;
  const dim3 grid(static_cast<unsigned>((rows + kTileM - 1) / kTileM),
                  static_cast<unsigned>((conv.out_channels + kTileN - 1) / kTileN));
  launch(conv3x3_kernel<M>, {.grid = grid, .block = kThreads, .shared_bytes = kStages * kStageBytes}, stream, conv);
}

}  // namespace

void conv3x3(const Conv3x3& conv, Mutation mutation, cudaStream_t stream) {
  switch (mutation) {
    case Mutation::none: return launch_conv<Mutation::none>(conv, stream);
    case Mutation::no_barrier: return launch_conv<Mutation::no_barrier>(conv, stream);
    case Mutation::waits_too_little: return launch_conv<Mutation::waits_too_little>(conv, stream);
    case Mutation::no_border: return launch_conv<Mutation::no_border>(conv, stream);
    case Mutation::wrong_stage: return launch_conv<Mutation::wrong_stage>(conv, stream);
    case Mutation::no_swizzle: return launch_conv<Mutation::no_swizzle>(conv, stream);
    case Mutation::stores_too_far: return launch_conv<Mutation::stores_too_far>(conv, stream);
  }
}

}  // namespace fathom::selftest
