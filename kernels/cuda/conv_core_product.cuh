// The core: a warp's share of the sum, one k-step after another. Three arithmetics over the same tiles: halves and
// TF32 on tensor cores, float32 by FFMA. All sums are float32.
#pragma once
#include "conv_core.cuh"

namespace fathom::gpu {

// What happens to an activation x of channel c on its way into the product: f(scale[c] x + shift[c]), in which the gate
// of its image is part of both. Lies in shared memory, in the order of planes.
struct Prologue {
  bool any = false, shifts = false;  // without either, nothing happens, and no shift is added
  float *scale = nullptr, *shift = nullptr;
  ActivationKind f = ActivationKind::none;

  static bool takes(ActivationKind f) {  // what is cheap enough to be done once for every tap
    return f == ActivationKind::none || f == ActivationKind::relu || f == ActivationKind::hard_swish;
  }
  __device__ Prologue at(int channel) const { return {any, shifts, scale + channel, shift + channel, f}; }
  // The numbers of N channels.
  template <int N>
  struct Factors {
    Vec<float, N> scale, shift;
    __device__ Vec<float, N> operator()(Vec<float, N> x) const {
#pragma unroll
      for (int i = 0; i < N; ++i) x[i] = scale[i] * x[i] + shift[i];
      return x;
    }
  };
  template <int N>
  __device__ Factors<N> factors(int channel) const {
    Factors<N> factors{load_vec<N>(scale + channel), {}};
    if (shifts) factors.shift = load_vec<N>(shift + channel);
    return factors;
  }
  // The same to rows of four channels, one after the other of its parts: it is short of registers.
  template <int Rows>
  __device__ void apply(Vec<float, 4> (&x)[Rows], int channel) const {
    const auto each = [&](auto&& f) {
#pragma unroll
      for (int i = 0; i < Rows; ++i) f(x[i]);
    };
    each([by = load_vec<4>(scale + channel)](Vec<float, 4>& row) {
#pragma unroll
      for (int i = 0; i < 4; ++i) row[i] *= by[i];
    });
    if (shifts)
      each([by = load_vec<4>(shift + channel)](Vec<float, 4>& row) {
#pragma unroll
        for (int i = 0; i < 4; ++i) row[i] += by[i];
      });
    if (f != ActivationKind::none) each([&](Vec<float, 4>& row) { activate(row); });
  }
  // The kind is asked for once, for as many numbers as make that worth a branch.
  template <int N>
  __device__ void activate(Vec<float, N>& x) const {
    const auto all = [&](ActivationKind kind) {
#pragma unroll
      for (int i = 0; i < N; ++i) x[i] = gpu::apply({kind, 0}, x[i]);
    };
    if (f == ActivationKind::relu) all(ActivationKind::relu);
    if (f == ActivationKind::hard_swish) all(ActivationKind::hard_swish);
  }
};

// Where the first place of the tile that an output of it sees has a chunk, in bytes.
__device__ inline int place_of(const ConvTiling& t, int output, int chunk) {
  const int h = output >> t.log2_width, w = output & ((1 << t.log2_width) - 1);
  return (h * t.rows.pitch * t.columns.places + w * t.columns.pitch) * kChunkBytes + chunk * t.chunk_bytes;
}

// ---- on tensor cores. The fragments of both types are 16 rows by 32 bytes (a) and 8 columns by 32 bytes (b), and
// their registers hold the same four bytes of them.
struct HalfMma {  // m16n8k16: a register holds two neighbouring halves
  using Element = __half;
  static __device__ void multiply(Accumulator& sum, const FragmentA& a, const FragmentB& b) { sum.add_product(a, b); }
  // To all of a warp's fragments. r[0] and r[1] are of one chunk, r[2] and r[3] of the next.
  template <int N>
  static __device__ void apply(const Prologue& prologue, FragmentA (&a)[N]) {
    const Prologue::Factors<2> factors[] = {prologue.factors<2>(lane_id() % 4 * 2),
                                            prologue.factors<2>(lane_id() % 4 * 2 + 8)};
#pragma unroll
    for (int i = 0; i < N; ++i) {
      Vec<float, 8> x;
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const float2 pair = unpack_halves(a[i].r[r]);
        const Vec<float, 2> y = factors[r / 2]({pair.x, pair.y});
        x[2 * r] = y[0], x[2 * r + 1] = y[1];
      }
      prologue.activate(x);
#pragma unroll
      for (int r = 0; r < 4; ++r) a[i].r[r] = pack_halves(x[2 * r], x[2 * r + 1]);
    }
  }
  static __device__ void round(FragmentA&) {}
};

struct Tf32Mma {  // m16n8k8; weights were rounded when they were packed
  using Element = float;
  static __device__ void multiply(Accumulator& sum, const FragmentA& a, const FragmentB& b) {
    mma_m16n8k8_tf32(sum.c, a.r, b.r, sum.c);
  }
  template <int N>
  static __device__ void apply(const Prologue& prologue, FragmentA (&a)[N]) {
    const Prologue::Factors<1> factors[] = {prologue.factors<1>(lane_id() % 4), prologue.factors<1>(lane_id() % 4 + 4)};
#pragma unroll
    for (int i = 0; i < N; ++i) {
      Vec<float, 4> x;
#pragma unroll
      for (int r = 0; r < 4; ++r) x[r] = factors[r / 2]({__uint_as_float(a[i].r[r])})[0];
      prologue.activate(x);
#pragma unroll
      for (int r = 0; r < 4; ++r) a[i].r[r] = __float_as_uint(x[r]);
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
  int place[kFragmentsM];  // of what this lane reads for ldmatrix, of each fragment's rows
  int column;              // likewise of the first weights

  __device__ explicit TensorProduct(const ConvTiling& t)
      : column(kept(chunk_place(Shape::warp_column() + lane_id() % 8 + lane_id() / 16 * 8, lane_id() / 8 % 2))) {
#pragma unroll
    for (int i = 0; i < kFragmentsM; ++i)
      place[i] = kept(place_of(t, Shape::warp_row() + 16 * i + lane_id() % 16, lane_id() / 16));
  }

  // What a k-step needs, in registers. They are loaded one step ahead, while the tensor cores work.
  static constexpr bool kLoadsAhead = true;
  struct Fragments {
    FragmentA a[kFragmentsM];
    FragmentB b[kFragmentsN];
  };
  // The activations of a plane, from a tap's first place on, and weights (kN, 32 bytes).
  __device__ void load(Fragments& f, const unsigned char* tap, const unsigned char* weight) const {
#pragma unroll
    for (int i = 0; i < kFragmentsM; ++i) ldmatrix(f.a[i].r, tap + place[i]);
#pragma unroll
    for (int j = 0; j < kFragmentsN; j += 2) {
      unsigned r[4];
      ldmatrix(r, weight + column + chunk_place(8 * j, 0));
      f.b[j] = {{r[0], r[1]}}, f.b[j + 1] = {{r[2], r[3]}};
    }
  }
  // `prologue` begins at the plane's first channel.
  template <bool HasPrologue>
  __device__ void prepare(Fragments& f, const Prologue& prologue) const {
    if constexpr (HasPrologue) Mma::apply(prologue, f.a);
#pragma unroll
    for (FragmentA& a : f.a) Mma::round(a);
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
  int place[kRows], chunk_bytes;

  __device__ explicit FloatProduct(const ConvTiling& t) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) place[i] = kept(place_of(t, Shape::warp_row() + 8 * i + lane_id() / 4, 0));
    chunk_bytes = t.chunk_bytes;
  }

  // Where a k-step's operands lie: the compiler itself moves plain loads ahead.
  static constexpr bool kLoadsAhead = false;
  struct Fragments {
    const unsigned char *tap, *weight;
    Prologue prologue;
  };
  __device__ void load(Fragments& f, const unsigned char* tap, const unsigned char* weight) const {
    f = {tap, weight, {}};
  }
  template <bool>
  __device__ void prepare(Fragments& f, const Prologue& prologue) const {
    f.prologue = prologue;
  }
  __device__ void multiply(const Fragments& f) {
    const int column = Shape::warp_column() + lane_id() % 4;
#pragma unroll
    for (int chunk = 0; chunk < 2; ++chunk) {
      Vec<float, 4> a[kRows];
#pragma unroll
      for (int i = 0; i < kRows; ++i)
        a[i] = load_vec<4>(reinterpret_cast<const float*>(f.tap + place[i] + chunk * chunk_bytes));
      if (f.prologue.any) f.prologue.apply(a, 4 * chunk);
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
