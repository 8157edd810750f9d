// Tiles of halves in shared memory, and the fragments of a matrix product that a warp holds in registers.
#pragma once
#include "mma.cuh"
#include "platform.cuh"
#include "reduce.cuh"
#include "site.cuh"

namespace fathom::gpu {

// Rows of `Columns` halves in chunks of 16 bytes. ldmatrix reads eight rows at once; in plain order those eight chunks
// would share their banks. So the chunks of a row stand permuted: chunk c of row r at c ^ (r modulo the row's chunks),
// where rows shorter than the 128 bytes of all banks count together until they fill them.
template <int Columns>
struct SwizzledTile {
  static_assert(Columns % 8 == 0);
  static constexpr int kChunks = Columns / 8;
  static_assert((kChunks & (kChunks - 1)) == 0, "the permutation is an exclusive or");
  static constexpr int kPeriod = kChunks < 8 ? kChunks : 8;

  __half* data = nullptr;  // aligned to 16 bytes

  static constexpr __host__ __device__ int bytes(int rows) { return rows * Columns * 2; }
  static constexpr __host__ __device__ int place(int row, int chunk) {  // in halves from the start
    return row * Columns + (chunk ^ (row * kPeriod / 8 % kPeriod)) * 8;
  }
  __device__ __half* at(int row, int chunk) const { return data + place(row, chunk); }
};

// a (16 x 16), row by row.
struct FragmentA {
  unsigned r[4];
  // From the rows row .. row + 15 of a tile, columns 8 chunk .. 8 chunk + 15.
  template <class Tile>
  __device__ void load(const Tile& tile, int row, int chunk, Site site = Site::here()) {
    ldmatrix(r, tile.at(row + lane_id() % 16, chunk + lane_id() / 16), site);
  }
};

// b (16 x 8).
struct FragmentB {
  unsigned r[2];
};

// Two neighbouring b, together 16 x 16, in one ldmatrix.
// From a tile that holds b as it is written, k down and n along: rows k .. k + 15, columns 8 chunk .. 8 chunk + 15.
template <class Tile>
__device__ inline void load_pair(FragmentB& first, FragmentB& second, const Tile& tile, int k, int chunk,
                                 Site site = Site::here()) {
  unsigned r[4];
  ldmatrix_transposed(r, tile.at(k + lane_id() % 16, chunk + lane_id() / 16), site);
  first = {{r[0], r[1]}};
  second = {{r[2], r[3]}};
}
// From a tile that holds b transposed, n down and k along: rows n .. n + 15, columns 8 chunk .. 8 chunk + 15.
template <class Tile>
__device__ inline void load_pair_transposed(FragmentB& first, FragmentB& second, const Tile& tile, int n, int chunk,
                                            Site site = Site::here()) {
  unsigned r[4];
  ldmatrix(r, tile.at(n + lane_id() % 8 + lane_id() / 16 * 8, chunk + lane_id() / 8 % 2), site);
  first = {{r[0], r[1]}};
  second = {{r[2], r[3]}};
}

// c (16 x 8) in fp32. Lane by lane: two neighbours in row(0), two in row(1).
struct Accumulator {
  float c[4] = {};
  __device__ void add_product(const FragmentA& a, const FragmentB& b, Site site = Site::here()) {
    mma_m16n8k16(c, a.r, b.r, c, site);
  }
  static __device__ int row(int half) { return lane_id() / 4 + 8 * half; }
  static __device__ int column() { return lane_id() % 4 * 2; }
  __device__ float first(int half) const { return c[2 * half]; }       // at (row(half), column())
  __device__ float second(int half) const { return c[2 * half + 1]; }  // at (row(half), column() + 1)
};

}  // namespace fathom::gpu
