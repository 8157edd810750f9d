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
  const SourceLoad& end = conv.load[conv.maps.sources - 1];
  float* const scale = reinterpret_cast<float*>(shared);
  return {p.scale || p.has_gate, p.shift != nullptr, scale, scale + (end.first_plane + end.planes) * kPlane<Product>,
          p.activation.kind};
}

// Scale and shift for this image, its gate included, in the order of planes; these are filled up with zeros.
template <class Product>
__device__ inline void fill_prologue(const ConvCore& conv, int image, const Prologue& to) {
  const ConvPrologue& p = conv.maps.prologue;
  if (!to.any) return;
  for (int k = 0; k < conv.maps.sources; ++k) {
    const ConvSource& s = conv.maps.source[k];
    const int first = conv.load[k].first_plane * kPlane<Product>, count = conv.load[k].planes * kPlane<Product>;
#pragma unroll 4
    for (int i = static_cast<int>(threadIdx.x); i < count; i += Product::Shape::kThreads) {
      const bool inside = i < s.channels;
      float gate = inside ? 1 : 0;
      if (inside && p.has_gate) gate = p.gate.load(image, s.first + i, 0, 0);
      to.scale[first + i] = inside && p.scale ? p.scale[s.first + i] * gate : gate;
      if (to.shifts) to.shift[first + i] = inside ? p.shift[s.first + i] * gate : 0;
    }
  }
}

// The k-steps of a stage: planes, then rows, then columns of taps.
template <bool HasPrologue, class Product>
__device__ inline void multiply_stage(Product& product, const ConvCore& conv, const StageCursor& at,
                                      const unsigned char* stage, const Prologue& prologue) {
  const StageTaps& taps = at.taps(conv);
  const int steps = kept(at.steps(conv)), rows = kept(taps.rows), columns = kept(taps.columns);
  const int column_bytes = kept(taps.column_bytes), row_bytes = kept(taps.row_bytes);
  const int plane_bytes = kept(taps.plane_bytes);
  const unsigned char *tap = stage + taps.first_bytes, *weight = stage + conv.tiling.weight_offset;
  int channel = (conv.load[at.source].first_plane + at.plane) * kPlane<Product>, a = 0, b = 0;
  Prologue here;  // of the step loaded last
  const auto load_next = [&](typename Product::Fragments& f) {
    product.load(f, tap, weight);
    if (HasPrologue) here = prologue.at(channel);
    weight += Product::Shape::kN * kStepBytes, tap += column_bytes;
    if (++b < columns) return;
    b = 0, tap += row_bytes;
    if (++a < rows) return;
    a = 0, tap += plane_bytes, channel += kPlane<Product>;
  };
  if constexpr (Product::kLoadsAhead) {
    typename Product::Fragments even, odd;
    const auto turn = [&](typename Product::Fragments& now, typename Product::Fragments& next) {
      load_next(next);
      product.multiply(now);
      product.template prepare<HasPrologue>(next, here);
    };
    load_next(even);
    product.template prepare<HasPrologue>(even, here);
    int loaded = 1;
#pragma unroll 1
    for (; loaded + 2 <= steps; loaded += 2) turn(even, odd), turn(odd, even);
    if (loaded < steps) {
      turn(even, odd);
      product.multiply(odd);
    } else {
      product.multiply(even);
    }
  } else {
#pragma unroll 1
    for (int step = 0; step < steps; ++step) {
      typename Product::Fragments now;
      load_next(now);
      product.template prepare<HasPrologue>(now, here);
      product.multiply(now);
    }
  }
}

// How many blocks of 4 warps a multiprocessor shall have registers for. The same code takes a few more on sm_75, whose
// shared memory holds the sums of one block of the largest shapes.
template <class Shape>
constexpr int blocks_together() {
  constexpr int kWarp = Shape::kWarpM * Shape::kWarpN;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
  return kWarp < 1024 ? 4 : kWarp < 2048 ? 3 : 2;
#else
  return kWarp <= 1024 ? 4 : kWarp <= 2048 ? 3 : 2;
#endif
}

template <class Product>
__global__ void __launch_bounds__(Product::Shape::kThreads,
                                  blocks_together<typename Product::Shape>() * 128 / Product::Shape::kThreads)
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
  const LoadWalk walk(t, Shape::kThreads);
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
      load_weights<Shape::kThreads>(weight + static_cast<std::int64_t>(loading.step) * (Shape::kN * kStepBytes),
                                    to + t.weight_offset, loading.steps(conv) * (Shape::kN * kStepBytes));
      loading.advance(conv);
      load_slot = next(load_slot);
    }
    cp_async_commit();  // an empty group too: the wait counts groups
    if (stage == first - 1) fill_prologue<Product>(conv, block.image, prologue);  // while the copies are under way
    if (stage < first) continue;
    const unsigned char* const full = ring + slot * t.stage_bytes;
    if (prologue.any || !Product::kLoadsAhead) {  // FFMA asks itself: for two loops it has not the registers
      multiply_stage<true>(product, conv, at, full, prologue);
    } else {
      multiply_stage<false>(product, conv, at, full, prologue);
    }
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
