// Shuffles, ballots, ldmatrix and mma: done once per warp, by the lane that arrives last.
#include <cstring>

#include "tests/emulator/half_float.hpp"
#include "tests/emulator/sanitizers.hpp"
#include "tests/emulator/worker.hpp"

namespace fathom::emu {
namespace {

template <class F>
void for_lanes(unsigned mask, F f) {
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (mask >> lane & 1) f(lane);
  }
}

struct ShuffleOperands {
  std::uint64_t in, out;
  int source;
};

void do_shuffle(void** operands, unsigned mask) {
  for_lanes(mask, [&](unsigned lane) {
    auto& mine = *static_cast<ShuffleOperands*>(operands[lane]);
    const bool defined = mask >> mine.source & 1;  // else the hardware's answer is anybody's guess: a NaN
    mine.out = defined ? static_cast<ShuffleOperands*>(operands[mine.source])->in : ~std::uint64_t{0};
  });
}

void do_ballot(void** operands, unsigned mask) {
  unsigned votes = 0;
  for_lanes(mask, [&](unsigned lane) { votes |= *static_cast<unsigned*>(operands[lane]) << lane; });
  for_lanes(mask, [&](unsigned lane) { *static_cast<unsigned*>(operands[lane]) = votes; });
}

struct LdmatrixOperands {
  const std::uint16_t* row;
  unsigned* r;
};

// Matrix i is 8 rows of 8 halves; lane 8 i + j brings the address of its row j. Lane l receives of each matrix the two
// neighbours (l / 4, 2 (l % 4)) and (l / 4, 2 (l % 4) + 1), or, transposed, (2 (l % 4), l / 4) and the one below it.
template <int Matrices, bool Transposed>
void do_ldmatrix(void** operands, unsigned) {
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < Matrices; ++i) {
      const auto element = [&](int row, int column) {
        return unsigned{static_cast<LdmatrixOperands*>(operands[8 * i + row])->row[column]};
      };
      const int across = lane / 4, along = lane % 4 * 2;
      static_cast<LdmatrixOperands*>(operands[lane])->r[i] =
          Transposed ? element(along, across) | element(along + 1, across) << 16
                     : element(across, along) | element(across, along + 1) << 16;
    }
  }
}

struct MmaOperands {
  float* d;
  const unsigned *a, *b;
  const float* c;
};
MmaOperands& of(void** operands, int lane) { return *static_cast<MmaOperands*>(operands[lane]); }

// The accumulator fragment of m16n8: register i of a lane is (lane / 4 + 8 (i / 2), 2 (lane % 4) + i % 2).
// d = a b + c, products summed in fp32 before c is added; a row at a time, which the compiler turns into vectors.
template <int K>
void multiply(void** operands, const float (&a)[16][K], const float (&b)[K][8]) {
  for (int m = 0; m < 16; ++m) {
    float sum[8] = {};
    for (int k = 0; k < K; ++k) {
      for (int n = 0; n < 8; ++n) sum[n] += a[m][k] * b[k][n];
    }
    for (int n = 0; n < 8; ++n) {
      const MmaOperands& o = of(operands, m % 8 * 4 + n / 2);
      const int i = m / 8 * 2 + n % 2;
      o.d[i] = o.c[i] + sum[n];
    }
  }
}

// Fragments of f16: register i of a holds row lane / 4 + 8 (i % 2), columns 2 (lane % 4) + 8 (i / 2) and the next;
// register i of b holds column lane / 4, rows 2 (lane % 4) + 8 i and the next.
template <int K>
void do_mma_f16(void** operands, unsigned) {
  float a[16][K], b[K][8];
  for (int lane = 0; lane < 32; ++lane) {
    const int across = lane / 4, along = lane % 4 * 2;
    for (int i = 0; i < K / 4; ++i) unpack_halves(of(operands, lane).a[i], &a[across + i % 2 * 8][along + i / 2 * 8]);
    for (int i = 0; i < K / 8; ++i) {
      float pair[2];
      unpack_halves(of(operands, lane).b[i], pair);
      b[along + 8 * i][across] = pair[0];
      b[along + 8 * i + 1][across] = pair[1];
    }
  }
  multiply<K>(operands, a, b);
}

// Fragments of tf32 (fp32 whose lowest 13 bits do not count): register i of a holds row lane / 4 + 8 (i % 2), column
// lane % 4 + 4 (i / 2); register i of b holds column lane / 4, row lane % 4 + 4 i.
void do_mma_tf32(void** operands, unsigned) {
  const auto value = [](unsigned bits) {
    float f;
    bits &= 0xFFFFE000u;
    std::memcpy(&f, &bits, sizeof f);
    return f;
  };
  float a[16][8], b[8][8];
  for (int lane = 0; lane < 32; ++lane) {
    const int across = lane / 4, along = lane % 4;
    for (int i = 0; i < 4; ++i) a[across + i % 2 * 8][along + i / 2 * 4] = value(of(operands, lane).a[i]);
    for (int i = 0; i < 2; ++i) b[along + 4 * i][across] = value(of(operands, lane).b[i]);
  }
  multiply<8>(operands, a, b);
}

void mma(const char* op, WarpFunction function, MmaOperands operands, Site site) {
  Worker& worker = Worker::here();
  worker.need_full_warp(op, site);
  worker.warp_operation({op, site, ~0u, function, &operands}, false);
}

}  // namespace

std::uint64_t shuffle(unsigned mask, std::uint64_t value, int source_lane, const char* op, Site site) {
  ShuffleOperands operands{value, 0, source_lane};
  Worker::here().warp_operation({op, site, mask, do_shuffle, &operands}, false);
  return operands.out;
}

unsigned ballot(unsigned mask, bool predicate, const char* op, Site site) {
  unsigned vote = predicate;
  Worker::here().warp_operation({op, site, mask, do_ballot, &vote}, false);
  return vote;
}

void ldmatrix(unsigned* r, int matrices, const void* row, bool transposed, Site site) {
  static constexpr WarpFunction kFunctions[2][3] = {
      {do_ldmatrix<1, false>, do_ldmatrix<2, false>, do_ldmatrix<4, false>},
      {do_ldmatrix<1, true>, do_ldmatrix<2, true>, do_ldmatrix<4, true>}};
  const char* op = transposed ? "ldmatrix.trans" : "ldmatrix";
  Worker& worker = Worker::here();
  worker.need_full_warp(op, site);
  worker.need_address(op, site, row, 16, 16);  // of every lane: sm_75 wants even the unused ones valid
  if (static_cast<int>(current_lane()) < 8 * matrices) {
    note_read(row, 16);
    worker.count_banks(op, site, row, 16);
  }
  LdmatrixOperands operands{static_cast<const std::uint16_t*>(row), r};
  worker.warp_operation({op, site, ~0u, kFunctions[transposed][matrices / 2], &operands}, false);
}

void mma_m16n8k16(float* d, const unsigned* a, const unsigned* b, const float* c, Site site) {
  mma("mma.m16n8k16", do_mma_f16<16>, {d, a, b, c}, site);
}
void mma_m16n8k8(float* d, const unsigned* a, const unsigned* b, const float* c, Site site) {
  mma("mma.m16n8k8", do_mma_f16<8>, {d, a, b, c}, site);
}
void mma_m16n8k8_tf32(float* d, const unsigned* a, const unsigned* b, const float* c, Site site) {
  mma("mma.m16n8k8.tf32", do_mma_tf32, {d, a, b, c}, site);
}

}  // namespace fathom::emu
