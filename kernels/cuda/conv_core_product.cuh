// The core: a warp's share of the sum, one k-step after another. Three arithmetics over the same tiles: halves and
// TF32 on tensor cores, float32 by FFMA. All sums are float32.
#pragma once
#include "conv_core.cuh"

namespace fathom::gpu {

// What happens to an activation on its way into the product: scale[c] x, the gate of its image. In shared memory, in
// the order of planes; null: nothing happens.
struct Prologue {
  const float* scale = nullptr;
};

// The first place of the tile that an output of it sees.
__device__ inline int place_of(const ConvTiling& t, int output) {
  const int h = output >> t.log2_width, w = output & ((1 << t.log2_width) - 1);
  return h * t.rows.pitch * t.columns.places() + w * t.columns.pitch;
}

// ---- fp16: m16n8k16
template <class Shape_>
struct HalfProduct {
  using Shape = Shape_;
  using Element = __half;
  static constexpr int kFragmentsM = Shape::kWarpM / 16, kFragmentsN = Shape::kWarpN / 8;

  Accumulator sums[kFragmentsM][kFragmentsN];
  int place[kFragmentsM];  // that this lane reads for ldmatrix, of each fragment's rows

  __device__ explicit HalfProduct(const ConvTiling& t) {
#pragma unroll
    for (int i = 0; i < kFragmentsM; ++i) place[i] = place_of(t, Shape::warp_row() + 16 * i + lane_id() % 16);
  }

  // One k-step: the activations of a plane, shifted by a tap, times weights (kN, 32 bytes).
  __device__ void step(const unsigned char* plane, int tap, const unsigned char* weight, const Prologue& prologue) {
    FragmentA a[kFragmentsM];
    FragmentB b[kFragmentsN];
    const int column = Shape::warp_column() + lane_id() % 8 + lane_id() / 16 * 8;
#pragma unroll
    for (int i = 0; i < kFragmentsM; ++i) ldmatrix(a[i].r, plane + chunk_place(place[i] + tap, lane_id() / 16));
#pragma unroll
    for (int j = 0; j < kFragmentsN; j += 2) {
      unsigned r[4];
      ldmatrix(r, weight + chunk_place(column + 8 * j, lane_id() / 8 % 2));
      b[j] = {{r[0], r[1]}}, b[j + 1] = {{r[2], r[3]}};
    }
    if (prologue.scale) scale(a, prologue.scale + lane_id() % 4 * 2);
#pragma unroll
    for (int i = 0; i < kFragmentsM; ++i) {
#pragma unroll
      for (int j = 0; j < kFragmentsN; ++j) sums[i][j].add_product(a[i], b[j]);
    }
  }

  // A lane's registers hold two neighbouring channels in r[0] and r[1], and those eight further on in r[2] and r[3].
  static __device__ void scale(FragmentA (&a)[kFragmentsM], const float* by) {
    const Vec<float, 2> near = load_vec<2>(by), far = load_vec<2>(by + 8);
#pragma unroll
    for (int i = 0; i < kFragmentsM; ++i) {
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const float2 x = unpack_halves(a[i].r[r]);
        a[i].r[r] = r < 2 ? pack_halves(near[0] * x.x, near[1] * x.y) : pack_halves(far[0] * x.x, far[1] * x.y);
      }
    }
  }

  // Into rows of `pitch` floats, one per output pixel of the block.
  __device__ void store(float* rows, int pitch) const {
#pragma unroll
    for (int i = 0; i < kFragmentsM; ++i) {
#pragma unroll
      for (int j = 0; j < kFragmentsN; ++j) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int row = Shape::warp_row() + 16 * i + Accumulator::row(half);
          const int column = Shape::warp_column() + 8 * j + Accumulator::column();
          store_vec(rows + row * pitch + column, Vec<float, 2>{sums[i][j].first(half), sums[i][j].second(half)});
        }
      }
    }
  }
};

// ---- fp32: every lane makes outputs 8 rows and 4 columns apart, so that a warp's accesses touch neighbouring rows
template <class Shape_>
struct FloatProduct {
  using Shape = Shape_;
  using Element = float;
  static constexpr int kRows = Shape::kWarpM / 8, kColumns = Shape::kWarpN / 4;

  float sums[kRows][kColumns] = {};
  int place[kRows];

  __device__ explicit FloatProduct(const ConvTiling& t) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) place[i] = place_of(t, Shape::warp_row() + 8 * i + lane_id() / 4);
  }

  __device__ void step(const unsigned char* plane, int tap, const unsigned char* weight, const Prologue& prologue) {
    const int column = Shape::warp_column() + lane_id() % 4;
#pragma unroll
    for (int chunk = 0; chunk < 2; ++chunk) {
      Vec<float, 4> a[kRows];
#pragma unroll
      for (int i = 0; i < kRows; ++i)
        a[i] = load_vec<4>(reinterpret_cast<const float*>(plane + chunk_place(place[i] + tap, chunk)));
      if (prologue.scale) {
        const Vec<float, 4> by = load_vec<4>(prologue.scale + 4 * chunk);
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
#pragma unroll
          for (int k = 0; k < 4; ++k) a[i][k] *= by[k];
        }
      }
#pragma unroll
      for (int j = 0; j < kColumns; ++j) {
        const Vec<float, 4> b =
            load_vec<4>(reinterpret_cast<const float*>(weight + chunk_place(column + 4 * j, chunk)));
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
#pragma unroll
          for (int k = 0; k < 4; ++k) sums[i][j] += a[i][k] * b[k];
        }
      }
    }
  }

  __device__ void store(float* rows, int pitch) const {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
#pragma unroll
      for (int j = 0; j < kColumns; ++j)
        rows[(Shape::warp_row() + 8 * i + lane_id() / 4) * pitch + Shape::warp_column() + 4 * j + lane_id() % 4] =
            sums[i][j];
    }
  }
};

}  // namespace fathom::gpu
