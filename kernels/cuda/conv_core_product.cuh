// The core: a warp's share of the sum, one k-step after another. Three arithmetics over the same tiles: halves and
// TF32 on tensor cores, float32 by FFMA. All sums are float32.
#pragma once
#include "conv_core.cuh"

namespace fathom::gpu {

// What happens to an activation x of channel c on its way into the product: f(scale[c] x + shift[c]), in which the gate
// of its image is part of both. Lies in shared memory, in the order of planes.
struct Prologue {
  float* scale = nullptr;  // null: nothing happens
  float* shift = nullptr;  // null: zeros
  ActivationKind f = ActivationKind::none;

  static bool takes(ActivationKind f) {  // what is cheap enough to be done once for every tap
    return f == ActivationKind::none || f == ActivationKind::relu || f == ActivationKind::hard_swish;
  }
  __device__ Prologue at(int channel) const { return {scale + channel, shift ? shift + channel : nullptr, f}; }
  template <int N>
  __device__ void apply(Vec<float, N>& x, int channel) const {
    const Vec<float, N> a = load_vec<N>(scale + channel);
    Vec<float, N> b = {};
    if (shift) b = load_vec<N>(shift + channel);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      x[i] = a[i] * x[i] + b[i];
      if (f == ActivationKind::relu) x[i] = x[i] < 0 ? 0 : x[i];
      if (f == ActivationKind::hard_swish) x[i] *= relu6(x[i] + 3) * (1.0f / 6);
    }
  }
};

// The first place of the tile that an output of it sees.
__device__ inline int place_of(const ConvTiling& t, int output) {
  const int h = output >> t.log2_width, w = output & ((1 << t.log2_width) - 1);
  return h * t.rows.pitch * t.columns.places() + w * t.columns.pitch;
}

// ---- on tensor cores. The fragments of both types are 16 rows by 32 bytes (a) and 8 columns by 32 bytes (b), and
// their registers hold the same four bytes of them.
struct HalfMma {  // m16n8k16: a register holds two neighbouring halves
  using Element = __half;
  static __device__ void multiply(Accumulator& sum, const FragmentA& a, const FragmentB& b) { sum.add_product(a, b); }
  // r[0] and r[1] are of one chunk, r[2] and r[3] of the next.
  static __device__ void apply(const Prologue& prologue, FragmentA& a) {
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      const float2 pair = unpack_halves(a.r[r]);
      Vec<float, 2> x = {pair.x, pair.y};
      prologue.apply(x, lane_id() % 4 * 2 + r / 2 * 8);
      a.r[r] = pack_halves(x[0], x[1]);
    }
  }
  static __device__ void round(FragmentA&) {}
};

struct Tf32Mma {  // m16n8k8; weights were rounded when they were packed
  using Element = float;
  static __device__ void multiply(Accumulator& sum, const FragmentA& a, const FragmentB& b) {
    mma_m16n8k8_tf32(sum.c, a.r, b.r, sum.c);
  }
  static __device__ void apply(const Prologue& prologue, FragmentA& a) {
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      Vec<float, 1> x = {__uint_as_float(a.r[r])};
      prologue.apply(x, lane_id() % 4 + r / 2 * 4);
      a.r[r] = __float_as_uint(x[0]);
    }
  }
  static __device__ void round(FragmentA& a) {
#pragma unroll
    for (int r = 0; r < 4; ++r) a.r[r] = to_tf32(__uint_as_float(a.r[r]));
  }
};

template <class Mma, class Shape_>
struct TensorProduct {
  using Shape = Shape_;
  using Element = typename Mma::Element;
  static constexpr int kFragmentsM = Shape::kWarpM / 16, kFragmentsN = Shape::kWarpN / 8;

  Accumulator sums[kFragmentsM][kFragmentsN];
  int place[kFragmentsM];  // that this lane reads for ldmatrix, of each fragment's rows

  __device__ explicit TensorProduct(const ConvTiling& t) {
#pragma unroll
    for (int i = 0; i < kFragmentsM; ++i) place[i] = place_of(t, Shape::warp_row() + 16 * i + lane_id() % 16);
  }

  // What a k-step needs, in registers. They are loaded one step ahead, while the tensor cores work.
  static constexpr bool kLoadsAhead = true;
  struct Fragments {
    FragmentA a[kFragmentsM];
    FragmentB b[kFragmentsN];
  };
  // The activations of a plane, shifted by a tap, and weights (kN, 32 bytes).
  __device__ void load(Fragments& f, const unsigned char* plane, int tap, const unsigned char* weight) const {
    const int column = Shape::warp_column() + lane_id() % 8 + lane_id() / 16 * 8;
#pragma unroll
    for (int i = 0; i < kFragmentsM; ++i) ldmatrix(f.a[i].r, plane + chunk_place(place[i] + tap, lane_id() / 16));
#pragma unroll
    for (int j = 0; j < kFragmentsN; j += 2) {
      unsigned r[4];
      ldmatrix(r, weight + chunk_place(column + 8 * j, lane_id() / 8 % 2));
      f.b[j] = {{r[0], r[1]}}, f.b[j + 1] = {{r[2], r[3]}};
    }
  }
  // `prologue` begins at the plane's first channel.
  __device__ void prepare(Fragments& f, const Prologue& prologue) const {
#pragma unroll
    for (int i = 0; i < kFragmentsM; ++i) {
      if (prologue.scale) Mma::apply(prologue, f.a[i]);
      Mma::round(f.a[i]);
    }
  }
  __device__ void multiply(const Fragments& f) {
#pragma unroll
    for (int i = 0; i < kFragmentsM; ++i) {
#pragma unroll
      for (int j = 0; j < kFragmentsN; ++j) Mma::multiply(sums[i][j], f.a[i], f.b[j]);
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
template <class Shape>
using HalfProduct = TensorProduct<HalfMma, Shape>;
template <class Shape>
using Tf32Product = TensorProduct<Tf32Mma, Shape>;

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

  // Where a k-step's operands lie: the compiler itself moves plain loads ahead.
  static constexpr bool kLoadsAhead = false;
  struct Fragments {
    const unsigned char *plane, *weight;
    int tap;
    Prologue prologue;
  };
  __device__ void load(Fragments& f, const unsigned char* plane, int tap, const unsigned char* weight) const {
    f = {plane, weight, tap, {}};
  }
  __device__ void prepare(Fragments& f, const Prologue& prologue) const { f.prologue = prologue; }
  __device__ void multiply(const Fragments& f) {
    const int column = Shape::warp_column() + lane_id() % 4;
#pragma unroll
    for (int chunk = 0; chunk < 2; ++chunk) {
      Vec<float, 4> a[kRows];
#pragma unroll
      for (int i = 0; i < kRows; ++i)
        a[i] = load_vec<4>(reinterpret_cast<const float*>(f.plane + chunk_place(place[i] + f.tap, chunk)));
      if (f.prologue.scale) {
#pragma unroll
        for (int i = 0; i < kRows; ++i) f.prologue.apply(a[i], 4 * chunk);
      }
#pragma unroll
      for (int j = 0; j < kColumns; ++j) {
        const Vec<float, 4> b =
            load_vec<4>(reinterpret_cast<const float*>(f.weight + chunk_place(column + 4 * j, chunk)));
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
