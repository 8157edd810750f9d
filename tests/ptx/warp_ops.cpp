// What the lanes of a warp do together: shuffles, votes, matrices.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "handlers.hpp"
#include "lanes.hpp"

namespace ptx {
namespace {

template <int Mode>  // 0 up, 1 down, 2 bfly, 3 idx; o: d, p or -1, a, b, c
void shuffle(Warp& w, const Ins& I, u32 m) {
  u32 from[kLanes];
  std::memcpy(from, w.words<u32>(I.o[2]), sizeof from);
  u32 pred = 0;
  u32 result[kLanes];
  for (u32 left = m; left; left &= left - 1) {
    const int l = std::countr_zero(left);
    const u32 lane = static_cast<u32>(l), b = w.words<u32>(I.o[3])[l] & 31, c = w.words<u32>(I.o[4])[l], segment = c >> 8 & 31;
    const u32 most = (lane & segment) | (c & 31 & ~segment), least = lane & segment;
    i32 j;
    bool in;
    if constexpr (Mode == 0) j = static_cast<i32>(lane - b), in = j >= static_cast<i32>(most);
    if constexpr (Mode == 1) j = static_cast<i32>(lane + b), in = j <= static_cast<i32>(most);
    if constexpr (Mode == 2) j = static_cast<i32>(lane ^ b), in = j <= static_cast<i32>(most);
    if constexpr (Mode == 3) j = static_cast<i32>(least | (b & ~segment)), in = j <= static_cast<i32>(most);
    if (!in) j = l;
    if (!(m >> j & 1)) fault(w, I, l, "shfl from lane " + std::to_string(j) + ", which does not take part");
    result[l] = from[j];
    pred |= static_cast<u32>(in) << l;
  }
  for (u32 left = m; left; left &= left - 1) w.words<u32>(I.o[0])[std::countr_zero(left)] = result[std::countr_zero(left)];
  if (I.o[1] >= 0) w.bits(I.o[1]) = (w.bits(I.o[1]) & ~m) | (pred & m);
}

// ---- tensor cores: D = A B + C, A row-major 16 x K, B column-major K x 8
// Tensor cores as measured (Fasi et al. 2021): the products are exact, cut off below the largest term's last bits, and
// so is the sum; K is taken in blocks.
float cut_sum(const double* terms, int count, float c) {
  int most = -1000;
  const auto exponent = [](double x) { return x == 0 || !std::isfinite(x) ? -1000 : std::ilogb(x); };
  bool finite = std::isfinite(c);
  for (int i = 0; i < count; ++i) most = std::max(most, exponent(terms[i])), finite &= std::isfinite(terms[i]);
  most = std::max(most, exponent(c));
  if (!finite || most == -1000) {
    double s = c;
    for (int i = 0; i < count; ++i) s += terms[i];
    return static_cast<float>(s);
  }
  const double unit = std::ldexp(1.0, most - 25);  // two bits past the 23
  double sum = std::trunc(c / unit);
  for (int i = 0; i < count; ++i) sum += std::trunc(terms[i] / unit);
  const double value = sum * unit;
  float f = static_cast<float>(value);
  if (std::fabs(f) > std::fabs(value)) f = std::nextafter(f, 0.0f);
  return f;
}
template <int K, bool Tf32>
void mma(Warp& w, [[maybe_unused]] const Ins& I, u32) {
  constexpr int kA = Tf32 ? 4 : K / 4, kB = Tf32 ? 2 : K / 8;
  float a[16][K], b[K][8], c[16][8];
  for (int lane = 0; lane < kLanes; ++lane) {
    const int group = lane >> 2, in_group = lane & 3;
    for (int r = 0; r < kA; ++r) {
      const u32 v = w.words<u32>(I.o[4 + r])[lane];
      const int row = group + (r & 1) * 8;
      if (Tf32 && (v & 0x1FFFu)) note_once(w, I, lane, "a tf32 operand with bits that the tensor core drops");
      if constexpr (Tf32) {
        a[row][in_group + (r >> 1) * 4] = std::bit_cast<float>(v & ~0x1FFFu);
      } else {
        const int column = in_group * 2 + (r >> 1) * 8;
        a[row][column] = half_to_float(static_cast<u16>(v)), a[row][column + 1] = half_to_float(static_cast<u16>(v >> 16));
      }
    }
    for (int r = 0; r < kB; ++r) {
      const u32 v = w.words<u32>(I.o[4 + kA + r])[lane];
      if (Tf32 && (v & 0x1FFFu)) note_once(w, I, lane, "a tf32 operand with bits that the tensor core drops");
      if constexpr (Tf32) {
        b[in_group + r * 4][group] = std::bit_cast<float>(v & ~0x1FFFu);
      } else {
        const int row = in_group * 2 + r * 8;
        b[row][group] = half_to_float(static_cast<u16>(v)), b[row + 1][group] = half_to_float(static_cast<u16>(v >> 16));
      }
    }
    for (int r = 0; r < 4; ++r) c[group + (r >> 1) * 8][in_group * 2 + (r & 1)] = w.words<float>(I.o[4 + kA + kB + r])[lane];
  }
  if (settings().exact_mma) {
    for (int i = 0; i < 16; ++i) {
      double s[8];
      for (int j = 0; j < 8; ++j) s[j] = c[i][j];
      for (int k = 0; k < K; ++k)
        for (int j = 0; j < 8; ++j) s[j] += static_cast<double>(a[i][k]) * b[k][j];
      for (int j = 0; j < 8; ++j) c[i][j] = static_cast<float>(s[j]);
    }
  } else {
    constexpr int kBlock = Tf32 ? 4 : 8;
    for (int i = 0; i < 16; ++i)
      for (int j = 0; j < 8; ++j)
        for (int k = 0; k < K; k += kBlock) {
          double terms[kBlock];
          for (int t = 0; t < kBlock; ++t) terms[t] = static_cast<double>(a[i][k + t]) * b[k + t][j];
          c[i][j] = cut_sum(terms, kBlock, c[i][j]);
        }
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    const int group = lane >> 2, in_group = lane & 3;
    for (int r = 0; r < 4; ++r) w.words<float>(I.o[r])[lane] = c[group + (r >> 1) * 8][in_group * 2 + (r & 1)];
  }
}
// n: matrices; o: registers, at 8 the address
template <bool Transposed>
void load_matrix(Warp& w, const Ins& I, u32) {
  u16 rows[4][8][8];
  for (int i = 0; i < I.n * 8; ++i) std::memcpy(rows[i / 8][i % 8], at_address(w, I, i, I.bytes == 1 ? Space::generic : Space::shared, address_of(w, I, i), 16, Access::read_for_warp), 16);
  for (int k = 0; k < I.n; ++k)
    for (int lane = 0; lane < kLanes; ++lane) {
      const int r = lane / 4, c = lane % 4 * 2;
      const u32 low = Transposed ? rows[k][c][r] : rows[k][r][c], high = Transposed ? rows[k][c + 1][r] : rows[k][r][c + 1];
      w.words<u32>(I.o[k])[lane] = low | high << 16;
    }
}

}  // namespace

Handler shuffle_of(const Words& op) {
  return any_of(op, "up") ? shuffle<0> : any_of(op, "down") ? shuffle<1> : any_of(op, "bfly") ? shuffle<2> : shuffle<3>;
}
void vote(Warp& w, const Ins& I, u32 m) {  // n: 0 all, 1 any, 2 uni, 3 ballot; + 4: negated
  const u32 p = (I.n & 4 ? ~w.bits(I.o[1]) : w.bits(I.o[1])) & m;
  const int mode = I.n & 3;
  if (mode == 3) {
    for (u32 left = m; left; left &= left - 1) w.words<u32>(I.o[0])[std::countr_zero(left)] = p;
  } else {
    const bool value = mode == 0 ? p == m : mode == 1 ? p != 0 : p == m || p == 0;
    w.bits(I.o[0]) = (w.bits(I.o[0]) & ~m) | (value ? m : 0);
  }
}
void active_mask(Warp& w, const Ins& I, u32 m) {
  for (u32 left = m; left; left &= left - 1) w.words<u32>(I.o[0])[std::countr_zero(left)] = m;
}
void warp_sync(Warp& w, const Ins&, u32) { ++w.stretch; }
void match_any(Warp& w, const Ins& I, u32 m) {
  u32 result[kLanes];
  for (u32 a = m; a; a &= a - 1) {
    const int i = std::countr_zero(a);
    result[i] = 0;
    for (u32 b = m; b; b &= b - 1) result[i] |= static_cast<u32>(w.words<u32>(I.o[1])[i] == w.words<u32>(I.o[1])[std::countr_zero(b)]) << std::countr_zero(b);
  }
  for (u32 a = m; a; a &= a - 1) w.words<u32>(I.o[0])[std::countr_zero(a)] = result[std::countr_zero(a)];
}
Handler mma_of(const std::string& name, int operands) {
  if (name == "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32" && operands == 14) return mma<16, false>;
  if (name == "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32" && operands == 11) return mma<8, false>;
  if (name == "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32" && operands == 14) return mma<8, true>;
  return nullptr;
}
Handler load_matrix_of(bool transposed) { return transposed ? load_matrix<true> : load_matrix<false>; }

}  // namespace ptx
