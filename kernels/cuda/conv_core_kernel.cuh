// The kernel of the convolution core, for one arithmetic and block shape (Product).
//
// Shared memory: tables of places | prologue | ring of stages, which the sums take over at the end.
#pragma once
#include "conv_core_epilogue.cuh"
#include "conv_core_load.cuh"
#include "conv_core_product.cuh"
#include "conv_gemm.cuh"

namespace fathom::gpu {

// Until the oldest stage under way has arrived; a stage of the ring is being computed on, the others fill.
__device__ inline void wait_for_stage(int stages) {
  if (stages == 2) cp_async_wait<0>();
  if (stages == 3) cp_async_wait<1>();
  if (stages == 4) cp_async_wait<2>();
}

// Channels of one plane.
template <class Product>
inline constexpr int kPlane = kStepBytes / static_cast<int>(sizeof(typename Product::Element));

// Scale and shift for this image, its gate included, in the order of planes; these are filled up with zeros.
template <class Product>
__device__ inline Prologue stage_prologue(const ConvCore& conv, int image, unsigned char* shared) {
  const ConvPrologue& p = conv.maps.prologue;
  if (!p.scale && !p.has_gate) return {nullptr, nullptr, p.activation.kind};
  const SourceLoad& end = conv.load[conv.maps.sources - 1];
  float* const scale = reinterpret_cast<float*>(shared);
  float* const shift = p.shift ? scale + (end.first_plane + end.planes) * kPlane<Product> : nullptr;
  for (int k = 0; k < conv.maps.sources; ++k) {
    const ConvSource& s = conv.maps.source[k];
    const int first = conv.load[k].first_plane * kPlane<Product>;
    for (int i = static_cast<int>(threadIdx.x); i < conv.load[k].planes * kPlane<Product>;
         i += Product::Shape::kThreads) {
      const bool inside = i < s.channels;
      const float gate = inside && p.has_gate ? p.gate.load(image, s.first + i, 0, 0) : inside ? 1 : 0;
      scale[first + i] = inside && p.scale ? p.scale[s.first + i] * gate : gate;
      if (shift) shift[first + i] = inside ? p.shift[s.first + i] * gate : 0;
    }
  }
  return {scale, shift, p.activation.kind};
}

template <class Product>
__device__ inline void multiply_stage(Product& product, const ConvCore& conv, const StageCursor& at,
                                      const unsigned char* stage, const Prologue& prologue) {
  const ConvTiling& t = conv.tiling;
  const TapRange rows = at.rows(conv), columns = at.columns(conv);
  const unsigned char* weight = stage + t.weight_offset;
  const int planes = at.planes(conv), width = t.columns.places();
  for (int plane = 0; plane < planes; ++plane) {
    Prologue here;
    if (prologue.scale) here = prologue.at((conv.load[at.source].first_plane + at.plane + plane) * kPlane<Product>);
    for (int a = rows.first; a < rows.last; ++a) {
      for (int b = columns.first; b < columns.last; ++b) {
        const int tap = a * t.rows.tap_pitch * width + b * t.columns.tap_pitch;
        product.step(stage + plane * t.plane_bytes, tap, weight, here);
        weight += Product::Shape::kN * kStepBytes;
      }
    }
  }
}

// How many blocks of 4 warps a multiprocessor shall have registers for.
template <class Shape>
inline constexpr int kBlocksTogether = Shape::kWarpM* Shape::kWarpN <= 1024 ? 4 : 3;

template <class Product>
__global__ void __launch_bounds__(Product::Shape::kThreads,
                                  kBlocksTogether<typename Product::Shape> * 128 / Product::Shape::kThreads)
    conv_core_kernel(const __grid_constant__ ConvCore conv) {
  using Shape = typename Product::Shape;
  using Element = typename Product::Element;
  GPU_DYNAMIC_SHARED(shared);
  const ConvTiling& t = conv.tiling;
  const BlockPlace block(t);
  const PlaceTables tables(t, shared);
  unsigned char* const ring = shared + t.ring_offset;
  tables.fill(conv, block);
  const Prologue prologue = stage_prologue<Product>(conv, block.image, shared + t.prologue_offset);
  __syncthreads();

  // This split's part of the stages.
  const int first = t.stage_count * block.split / t.splits, last = t.stage_count * (block.split + 1) / t.splits;
  StageCursor loading(conv);
  for (int i = 0; i < first; ++i) loading.advance(conv);
  StageCursor at = loading;
  const LoadWalk walk(t);
  const unsigned char* const weight =
      conv.weight + static_cast<std::int64_t>(block.channel_block) * t.step_count * (Shape::kN * kStepBytes);
  Product product(t);
  int load_slot = 0, slot = 0;
  const auto next = [&](int s) { return s + 1 == t.stages ? 0 : s + 1; };

  // The first turns only load, stages - 1 ahead of what is computed on.
  for (int stage = first - t.stages + 1; stage < last; ++stage) {
    if (stage >= first) {
      wait_for_stage(t.stages);
      __syncthreads();  // everybody's copies of this stage are there, and nobody reads the last one any more
    }
    if (stage + t.stages - 1 < last) {
      unsigned char* const to = ring + load_slot * t.stage_bytes;
      load_activations<Element>(conv, tables, walk, loading, block.image, to);
      load_weights(weight + static_cast<std::int64_t>(loading.step) * (Shape::kN * kStepBytes), to + t.weight_offset,
                   loading.steps(conv) * (Shape::kN * kStepBytes));
      loading.advance(conv);
      load_slot = next(load_slot);
    }
    cp_async_commit();  // an empty group too: the wait counts groups
    if (stage < first) continue;
    multiply_stage(product, conv, at, ring + slot * t.stage_bytes, prologue);
    at.advance(conv);
    slot = next(slot);
  }

  cp_async_wait_all();
  __syncthreads();  // nobody reads the ring any more: the sums take its place
  float* const sums = reinterpret_cast<float*>(ring);
  product.store(sums, Shape::kN + kSumsPad);
  __syncthreads();
  finish_block<Shape>(conv, block, sums);
}

// The kernels by block shape.
template <template <class> class Product>
ConvKernel conv_kernel(int block) {
  static constexpr ConvKernel kernels[] = {
      conv_core_kernel<Product<BlockShape<128, 128, 2, 4>>>, conv_core_kernel<Product<BlockShape<128, 64, 2, 2>>>,
      conv_core_kernel<Product<BlockShape<64, 64, 2, 2>>>,   conv_core_kernel<Product<BlockShape<64, 32, 2, 2>>>,
      conv_core_kernel<Product<BlockShape<32, 64, 1, 4>>>,   conv_core_kernel<Product<BlockShape<16, 64, 1, 4>>>,
      conv_core_kernel<Product<BlockShape<128, 16, 4, 1>>>,
  };
  static_assert(std::size(kernels) == kBlockSizes);
  return kernels[block];
}

}  // namespace fathom::gpu
