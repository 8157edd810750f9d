// The kernel of the convolution core, for one arithmetic and block shape (Product).
//
// Shared memory: tables of places | prologue | ring of stages, which the sums take over at the end.
#pragma once
#include <array>
#include <utility>

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

// Where the prologue's vectors lie.
template <class Product>
__device__ inline Prologue place_prologue(const ConvCore& conv, unsigned char* shared) {
  const ConvPrologue& p = conv.maps.prologue;
  if (!p.scale && !p.has_gate) return {};
  const SourceLoad& end = conv.load[conv.maps.sources - 1];
  float* const scale = reinterpret_cast<float*>(shared);
  return {scale, p.shift ? scale + (end.first_plane + end.planes) * kPlane<Product> : nullptr, p.activation.kind};
}

// Scale and shift for this image, its gate included, in the order of planes; these are filled up with zeros.
template <class Product>
__device__ inline void fill_prologue(const ConvCore& conv, int image, const Prologue& to) {
  const ConvPrologue& p = conv.maps.prologue;
  if (!to.scale) return;
  for (int k = 0; k < conv.maps.sources; ++k) {
    const ConvSource& s = conv.maps.source[k];
    const int first = conv.load[k].first_plane * kPlane<Product>, count = conv.load[k].planes * kPlane<Product>;
#pragma unroll 4
    for (int i = static_cast<int>(threadIdx.x); i < count; i += Product::Shape::kThreads) {
      const bool inside = i < s.channels;
      float gate = inside ? 1 : 0;
      if (inside && p.has_gate) gate = p.gate.load(image, s.first + i, 0, 0);
      to.scale[first + i] = inside && p.scale ? p.scale[s.first + i] * gate : gate;
      if (to.shift) to.shift[first + i] = inside ? p.shift[s.first + i] * gate : 0;
    }
  }
}

template <class Product>
__device__ inline void multiply_stage(Product& product, const ConvCore& conv, const StageCursor& at,
                                      const unsigned char* stage, const Prologue& prologue) {
  const ConvTiling& t = conv.tiling;
  const TapRange rows = at.rows(conv), columns = at.columns(conv);
  const int steps = at.steps(conv), row_step = t.rows.tap_pitch * t.columns.places(), column_step = t.columns.tap_pitch;
  const unsigned char* weight = stage + t.weight_offset;
  int channel = (conv.load[at.source].first_plane + at.plane) * kPlane<Product>, a = rows.first, b = columns.first;
  Prologue here;                                                // of the step loaded last
  const auto load_next = [&](typename Product::Fragments& f) {  // planes, then rows, then columns of taps
    product.load(f, stage, a * row_step + b * column_step, weight);
    if (prologue.scale) here = prologue.at(channel);
    weight += Product::Shape::kN * kStepBytes;
    if (++b < columns.last) return;
    b = columns.first;
    if (++a < rows.last) return;
    a = rows.first, stage += t.plane_bytes, channel += kPlane<Product>;
  };
  if constexpr (Product::kLoadsAhead) {
    typename Product::Fragments even, odd;
    const auto turn = [&](typename Product::Fragments& now, typename Product::Fragments& next, bool more) {
      if (more) load_next(next);
      product.multiply(now);
      if (more) product.prepare(next, here);
    };
    load_next(even);
    product.prepare(even, here);
    for (int step = 0; step < steps; step += 2) {
      turn(even, odd, step + 1 < steps);
      if (step + 1 < steps) turn(odd, even, step + 2 < steps);
    }
  } else {
    for (int step = 0; step < steps; ++step) {
      typename Product::Fragments now;
      load_next(now);
      product.prepare(now, here);
      product.multiply(now);
    }
  }
}

// How many blocks of 4 warps a multiprocessor shall have registers for. The same code takes a few more on sm_75.
template <class Shape>
inline constexpr int kBlocksTogether =
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
    Shape::kWarpM* Shape::kWarpN < 1024 ? 4 : 3;
#else
    Shape::kWarpM* Shape::kWarpN <= 1024 ? 4 : 3;
#endif

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
  const Prologue prologue = place_prologue<Product>(conv, shared + t.prologue_offset);
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
    if (stage == first - 1) fill_prologue<Product>(conv, block.image, prologue);  // while the copies are under way
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

// The kernels by number of their block shape.
template <template <class> class Product>
ConvKernel conv_kernel(int block) {
  const auto list = []<std::size_t... K>(std::index_sequence<K...>) {
    return std::array<ConvKernel, kBlockSizes>{conv_core_kernel<
        Product<BlockShape<block_sizes[K].m, block_sizes[K].n, block_sizes[K].warps_m, block_sizes[K].warps_n>>>...};
  };
  return list(std::make_index_sequence<kBlockSizes>())[static_cast<std::size_t>(block)];
}

}  // namespace fathom::gpu
