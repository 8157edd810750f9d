// What a lane does by itself: predicates, moves, conversions, numbers.
#include "handlers.hpp"
#include "lanes.hpp"

namespace ptx {
namespace {

void p_and(Warp& w, const Ins& I, u32 m) { u32& d = w.bits(I.o[0]); d = (d & ~m) | (w.bits(I.o[1]) & w.bits(I.o[2]) & m); }
void p_or(Warp& w, const Ins& I, u32 m) { u32& d = w.bits(I.o[0]); d = (d & ~m) | ((w.bits(I.o[1]) | w.bits(I.o[2])) & m); }
void p_xor(Warp& w, const Ins& I, u32 m) { u32& d = w.bits(I.o[0]); d = (d & ~m) | ((w.bits(I.o[1]) ^ w.bits(I.o[2])) & m); }
void p_not(Warp& w, const Ins& I, u32 m) { u32& d = w.bits(I.o[0]); d = (d & ~m) | (~w.bits(I.o[1]) & m); }
void p_mov(Warp& w, const Ins& I, u32 m) { u32& d = w.bits(I.o[0]); d = (d & ~m) | (w.bits(I.o[1]) & m); }

enum Compare { eq, ne, lt, le, gt, ge, equ, neu, ltu, leu, gtu, geu, num, nan };
template <class T, Compare C>
inline bool holds(T a, T b) {
  if constexpr (C == eq) return a == b;
  if constexpr (C == ne) return std::is_floating_point_v<T> ? a < b || a > b : a != b;  // ordered
  if constexpr (C == lt) return a < b;
  if constexpr (C == le) return a <= b;
  if constexpr (C == gt) return a > b;
  if constexpr (C == ge) return a >= b;
  if constexpr (C == equ) return !(a < b || a > b);
  if constexpr (C == neu) return a != b;
  if constexpr (C == ltu) return !(a >= b);
  if constexpr (C == leu) return !(a > b);
  if constexpr (C == gtu) return !(a <= b);
  if constexpr (C == geu) return !(a < b);
  if constexpr (C == num) return a == a && b == b;
  if constexpr (C == nan) return a != a || b != b;
}
// o: p, a, b, q or -1, c or -1; n: 1 and, 2 or, 3 xor with c, which is negated by 4
template <class T, Compare C>
void setp(Warp& w, const Ins& I, u32 m) {
  const auto* a = w.words<typename Lane<T>::Word>(I.o[1]);
  const auto* b = w.words<typename Lane<T>::Word>(I.o[2]);
  u32 r = 0;
  for (int i = 0; i < kLanes; ++i) r |= static_cast<u32>(holds<T, C>(Lane<T>::get(a[i]), Lane<T>::get(b[i]))) << i;
  u32 s = ~r;
  if (I.n) {
    const u32 c = I.n & 4 ? ~w.bits(I.o[4]) : w.bits(I.o[4]);
    const int how = I.n & 3;
    r = how == 1 ? r & c : how == 2 ? r | c : r ^ c;
    s = how == 1 ? s & c : how == 2 ? s | c : s ^ c;
  }
  if (I.o[0] >= 0) w.bits(I.o[0]) = (w.bits(I.o[0]) & ~m) | (r & m);
  if (I.o[3] >= 0) w.bits(I.o[3]) = (w.bits(I.o[3]) & ~m) | (s & m);
}
template <class T>
Handler setp_as(int c) {
  if constexpr (std::is_floating_point_v<T>) {
    constexpr Handler all[] = {setp<T, eq>,  setp<T, ne>,  setp<T, lt>,  setp<T, le>,  setp<T, gt>,  setp<T, ge>,  setp<T, equ>,
                               setp<T, neu>, setp<T, ltu>, setp<T, leu>, setp<T, gtu>, setp<T, geu>, setp<T, num>, setp<T, nan>};
    return all[c];
  } else {
    constexpr Handler all[] = {setp<T, eq>, setp<T, ne>, setp<T, lt>, setp<T, le>, setp<T, gt>, setp<T, ge>};
    return c < 6 ? all[c] : nullptr;
  }
}
template <class Word>
void selp(Warp& w, const Ins& I, u32 m) {
  auto* d = w.words<Word>(I.o[0]);
  const auto *a = w.words<Word>(I.o[1]), *b = w.words<Word>(I.o[2]);
  const u32 p = w.bits(I.o[3]);
  if (m == kAll) {
#pragma GCC ivdep
    for (int i = 0; i < kLanes; ++i) d[i] = p >> i & 1 ? a[i] : b[i];
  } else {
    for (; m; m &= m - 1) {
      const int i = std::countr_zero(m);
      d[i] = p >> i & 1 ? a[i] : b[i];
    }
  }
}

template <class Whole, int Parts>  // o: whole, parts
void unpack(Warp& w, const Ins& I, u32 m) {
  constexpr int kBits = sizeof(Whole) * 8 / Parts;
  for (; m; m &= m - 1) {
    const int i = std::countr_zero(m);
    const Whole v = w.words<Whole>(I.o[0])[i];
    for (int k = 0; k < Parts; ++k)
      if (I.o[1 + k] >= 0) w.words<u32>(I.o[1 + k])[i] = static_cast<u32>(v >> (k * kBits) & ((u64{1} << kBits) - 1));
  }
}
template <class Whole, int Parts>
void pack(Warp& w, const Ins& I, u32 m) {
  constexpr int kBits = sizeof(Whole) * 8 / Parts;
  for (; m; m &= m - 1) {
    const int i = std::countr_zero(m);
    u64 v = 0;
    for (int k = 0; k < Parts; ++k) v |= (w.words<u32>(I.o[1 + k])[i] & ((u64{1} << kBits) - 1)) << (k * kBits);
    w.words<Whole>(I.o[0])[i] = static_cast<Whole>(v);
  }
}

double rounded(double x, char mode) {
  switch (mode) {
    case 'z': return std::trunc(x);
    case 'm': return std::floor(x);
    case 'p': return std::ceil(x);
    default: return std::nearbyint(x);
  }
}
void convert(Warp& w, const Ins& I, u32 m) {
  const auto& c = *static_cast<const Conversion*>(I.extra);
  for (; m; m &= m - 1) {
    const int i = std::countr_zero(m);
    const u64 raw = c.from_wide ? w.words<u64>(I.o[1])[i] : w.words<u32>(I.o[1])[i];
    u64 out = 0;
    double x = 0;
    i64 n = 0;
    const bool from_float = is_float(c.from), to_float = is_float(c.to);
    if (c.from == Type::f16) x = half_to_float(static_cast<u16>(raw));
    else if (c.from == Type::f32) x = std::bit_cast<float>(static_cast<u32>(raw));
    else if (c.from == Type::f64) x = std::bit_cast<double>(raw);
    else {
      const int unused = 64 - 8 * size_of(c.from);
      n = is_signed(c.from) ? static_cast<i64>(raw << unused) >> unused : static_cast<i64>(raw << unused >> unused);
    }
    if (c.ftz && c.from == Type::f32) x = flush(static_cast<float>(x));
    if (from_float && !to_float) {
      const int bits = 8 * size_of(c.to);
      const double low = is_signed(c.to) ? -std::ldexp(1.0, bits - 1) : 0, high = std::ldexp(1.0, is_signed(c.to) ? bits - 1 : bits);
      const double r = rounded(x, c.round);
      if (r != r) out = 0;
      else if (r <= low) out = is_signed(c.to) ? static_cast<u64>(i64{-1} << (bits - 1)) : 0;
      else if (r >= high) out = is_signed(c.to) ? (u64{1} << (bits - 1)) - 1 : ~u64{0} >> (64 - bits);
      else out = is_signed(c.to) ? static_cast<u64>(static_cast<i64>(r)) : static_cast<u64>(r);
    } else if (!from_float && !to_float) {
      if (c.sat) {
        const int bits = 8 * size_of(c.to);
        const i64 low = is_signed(c.to) ? -(i64{1} << (bits - 1)) : 0, high = is_signed(c.to) ? (i64{1} << (bits - 1)) - 1 : bits == 64 ? std::numeric_limits<i64>::max() : (i64{1} << bits) - 1;
        n = std::clamp(n, low, high);
      }
      const int unused = 64 - 8 * size_of(c.to);
      out = is_signed(c.to) ? static_cast<u64>(static_cast<i64>(static_cast<u64>(n) << unused) >> unused) : static_cast<u64>(n) << unused >> unused;
    } else {
      if (!from_float) x = is_signed(c.from) || c.from != Type::u64 ? static_cast<double>(n) : static_cast<double>(static_cast<u64>(n));
      if (c.integral) x = rounded(x, c.round);
      if (c.sat) x = x > 0 ? std::min(x, 1.0) : 0.0;
      if (c.to == Type::f64) {
        out = std::bit_cast<u64>(x);
      } else {
        float f = !from_float && !c.sat ? (is_signed(c.from) || c.from != Type::u64 ? static_cast<float>(n) : static_cast<float>(static_cast<u64>(n))) : static_cast<float>(x);
        if (!c.integral && c.round != 'n' && c.to == Type::f32 && f != x) {
          const bool away = (c.round == 'z' && std::fabs(f) > std::fabs(x)) || (c.round == 'm' && f > x) || (c.round == 'p' && f < x);
          if (away) f = std::nextafter(f, c.round == 'z' ? 0.0f : c.round == 'm' ? -INFINITY : INFINITY);
        }
        if (c.ftz) f = flush(f);
        if (c.to == Type::f32) out = std::bit_cast<u32>(f);
        else if (c.to == Type::tf32) out = to_tf32(f);
        else out = static_cast<u16>(c.round == 'z' ? _cvtss_sh(f, _MM_FROUND_TO_ZERO) : c.round == 'm' ? _cvtss_sh(f, _MM_FROUND_TO_NEG_INF) : c.round == 'p' ? _cvtss_sh(f, _MM_FROUND_TO_POS_INF) : _cvtss_sh(f, _MM_FROUND_TO_NEAREST_INT));
      }
    }
    if (c.to_wide) w.words<u64>(I.o[0])[i] = out;
    else w.words<u32>(I.o[0])[i] = static_cast<u32>(c.to_bits == 16 ? out & 0xFFFF : out);
  }
}

#define INT_HANDLER(T, EXPRESSION) each<[](T a, T b) -> T { return static_cast<T>(EXPRESSION); }>
template <class U, class S>  // by width: u16/i16, ...
Handler integer_op(const std::string& base, bool sign) {
  if (base == "add") return INT_HANDLER(U, a + b);
  if (base == "sub") return INT_HANDLER(U, a - b);
  if (base == "mul") return INT_HANDLER(U, static_cast<u64>(a) * b);
  if (base == "and") return INT_HANDLER(U, a & b);
  if (base == "or") return INT_HANDLER(U, a | b);
  if (base == "xor") return INT_HANDLER(U, a ^ b);
  if (base == "min") return sign ? INT_HANDLER(S, a < b ? a : b) : INT_HANDLER(U, a < b ? a : b);
  if (base == "max") return sign ? INT_HANDLER(S, a > b ? a : b) : INT_HANDLER(U, a > b ? a : b);
  // What a division by zero gives is not defined; the hardware's is all ones.
  if (base == "div") return sign ? INT_HANDLER(S, b == 0 ? S(-1) : b == S(-1) ? S(U(0) - U(a)) : a / b) : INT_HANDLER(U, b == 0 ? U(~U(0)) : a / b);
  if (base == "rem") return sign ? INT_HANDLER(S, b == 0 ? a : b == S(-1) ? S(0) : a % b) : INT_HANDLER(U, b == 0 ? a : a % b);
  return nullptr;
}
template <class U, class S>
Handler shift_op(const std::string& base, bool sign) {
  constexpr u32 kBits = sizeof(U) * 8;
  if (base == "shl") return each<[](U a, u32 b) -> U { return (b >= kBits ? U(0) : static_cast<U>(a << b)); }>;
  return sign ? each<[](S a, u32 b) -> S { return (static_cast<S>((a >> std::min(b, kBits - 1)))); }>
              : each<[](U a, u32 b) -> U { return (b >= kBits ? U(0) : static_cast<U>((a >> b))); }>;
}
template <class T>
void check_zero(Warp& w, const Ins& I, u32 m) {
  for (u32 left = m; left; left &= left - 1)
    if (T v = Lane<T>::get(w.words<typename Lane<T>::Word>(I.o[2])[std::countr_zero(left)]); v == 0) note_once(w, I, std::countr_zero(left), "a division by zero");
  reinterpret_cast<Handler>(const_cast<void*>(I.extra))(w, I, m);
}

#define F1(EXPRESSION) each<[](float a) -> float { return (EXPRESSION); }>
#define F2(EXPRESSION) each<[](float a, float b) -> float { return (EXPRESSION); }>
#define F3(EXPRESSION) each<[](float a, float b, float c) -> float { return (EXPRESSION); }>
#define D1(EXPRESSION) each<[](double a) -> double { return (EXPRESSION); }>
#define D2(EXPRESSION) each<[](double a, double b) -> double { return (EXPRESSION); }>
#define D3(EXPRESSION) each<[](double a, double b, double c) -> double { return (EXPRESSION); }>
#define H1(EXPRESSION) each<[](u16 a) -> u16 { return (EXPRESSION); }>
#define H2(EXPRESSION) each<[](u16 a, u16 b) -> u16 { return (EXPRESSION); }>
#define P2(EXPRESSION) each<[](u32 a, u32 b) -> u32 { return (EXPRESSION); }>

Handler float_op(const std::vector<std::string>& op) {
  const std::string& base = op[0];
  const bool ftz = any_of(op, "ftz"), sat = any_of(op, "sat"), nan = any_of(op, "NaN");
  if (any_of(op, "rz") || (any_of(op, "rm", "rp") && base != "fma") || any_of(op, "abs") != (base == "abs") || any_of(op, "xorsign")) return nullptr;
  if (ftz) {
    if (sat) return nullptr;
    if (base == "add") return F2(flush(flush(a) + flush(b)));
    if (base == "sub") return F2(flush(flush(a) - flush(b)));
    if (base == "mul") return F2(flush(flush(a) * flush(b)));
    if (base == "div") return F2(flush(flush(a) / flush(b)));
    if (base == "fma" || base == "mad") return any_of(op, "rm", "rp") ? nullptr : F3(flush(std::fma(flush(a), flush(b), flush(c))));
    if (base == "ex2") return F1(flush(std::exp2(flush(a))));
    if (base == "lg2") return F1(flush(std::log2(flush(a))));
    if (base == "rcp") return F1(flush(1.0f / flush(a)));
    if (base == "rsqrt") return F1(flush(static_cast<float>(1.0 / std::sqrt(static_cast<double>(flush(a))))));
    if (base == "sqrt") return F1(flush(std::sqrt(flush(a))));
    if (base == "neg") return F1(flush(-a));
    if (base == "abs") return F1(flush(std::fabs(a)));
    return nullptr;
  }
  if (sat) {
    if (base == "add") return F2(saturated(a + b));
    if (base == "mul") return F2(saturated(a * b));
    if (base == "fma") return F3(saturated(std::fma(a, b, c)));
    return nullptr;
  }
  if (base == "add") return F2(a + b);
  if (base == "sub") return F2(a - b);
  if (base == "mul") return F2(a * b);
  if (base == "div") return any_of(op, "approx") ? F2(std::fabs(b) > 0x1p126f && std::isfinite(b) && std::isfinite(a) ? std::copysign(0.0f, a) * std::copysign(1.0f, b) : a / b) : F2(a / b);
  if (base == "fma" || base == "mad") return any_of(op, "rm") ? F3(fma_down(a, b, c)) : any_of(op, "rp") ? F3(fma_up(a, b, c)) : F3(std::fma(a, b, c));
  if (base == "min") return nan ? F2(smaller_nan(a, b)) : F2(smaller(a, b));
  if (base == "max") return nan ? F2(greater_nan(a, b)) : F2(greater(a, b));
  if (base == "neg") return F1(-a);
  if (base == "abs") return F1(std::fabs(a));
  if (base == "rcp") return F1(1.0f / a);
  if (base == "sqrt") return F1(std::sqrt(a));
  if (base == "rsqrt") return F1(static_cast<float>(1.0 / std::sqrt(static_cast<double>(a))));
  if (base == "ex2") return F1(std::exp2(a));
  if (base == "lg2") return F1(std::log2(a));
  if (base == "sin") return F1(std::sin(a));
  if (base == "cos") return F1(std::cos(a));
  if (base == "tanh") return F1(std::tanh(a));
  return nullptr;
}
Handler double_op(const std::string& base) {
  if (base == "add") return D2(a + b);
  if (base == "sub") return D2(a - b);
  if (base == "mul") return D2(a * b);
  if (base == "div") return D2(a / b);
  if (base == "fma" || base == "mad") return D3(std::fma(a, b, c));
  if (base == "neg") return D1(-a);
  if (base == "abs") return D1(std::fabs(a));
  if (base == "rcp") return D1(1.0 / a);
  if (base == "sqrt") return D1(std::sqrt(a));
  if (base == "min") return D2(std::fmin(a, b));
  if (base == "max") return D2(std::fmax(a, b));
  return nullptr;
}
Handler half_op(const std::vector<std::string>& op, bool pairs) {
  const std::string& base = op[0];
  if (any_of(op, "ftz", "sat", "relu")) return nullptr;
  const bool nan = any_of(op, "NaN");
  if (base == "add") return pairs ? P2(pairwise<half_add>(a, b)) : H2(half_add(a, b));
  if (base == "sub") return pairs ? P2(pairwise<half_sub>(a, b)) : H2(half_sub(a, b));
  if (base == "mul") return pairs ? P2(pairwise<half_mul>(a, b)) : H2(half_mul(a, b));
  if (base == "min") return nan ? (pairs ? P2(pairwise<half_min_nan>(a, b)) : H2(half_min_nan(a, b))) : pairs ? P2(pairwise<half_min>(a, b)) : H2(half_min(a, b));
  if (base == "max") return nan ? (pairs ? P2(pairwise<half_max_nan>(a, b)) : H2(half_max_nan(a, b))) : pairs ? P2(pairwise<half_max>(a, b)) : H2(half_max(a, b));
  if (base == "neg") return pairs ? each<[](u32 a) -> u32 { return a ^ 0x80008000u; }> : H1(static_cast<u16>(a ^ 0x8000));
  if (base == "abs") return pairs ? each<[](u32 a) -> u32 { return a & 0x7FFF7FFFu; }> : H1(static_cast<u16>(a & 0x7FFF));
  if (base == "fma" && !pairs) return each<[](u16 a, u16 b, u16 c) -> u16 { return half_fma(a, b, c); }>;
  if (base == "fma")
    return each<[](u32 a, u32 b, u32 c) -> u32 {
      return half_fma(static_cast<u16>(a), static_cast<u16>(b), static_cast<u16>(c)) |
             static_cast<u32>(half_fma(static_cast<u16>((a >> 16)), static_cast<u16>((b >> 16)), static_cast<u16>((c >> 16)))) << 16;
    }>;
  return nullptr;
}

template <class Wide, class T>
Handler wide_op(bool add) {
  return add ? each<[](T a, T b, Wide c) -> Wide { return static_cast<Wide>(static_cast<u64>(static_cast<Wide>(a)) * static_cast<u64>(static_cast<Wide>(b)) + static_cast<u64>(c)); }>
             : each<[](T a, T b) -> Wide { return static_cast<Wide>(static_cast<Wide>(a) * static_cast<Wide>(b)); }>;
}

}  // namespace

Handler predicate_op(const std::string& base) {
  return base == "and" ? p_and : base == "or" ? p_or : base == "xor" ? p_xor : base == "not" ? p_not : base == "mov" ? p_mov : nullptr;
}
Handler setp_of(Type t, int comparison) {
  switch (t) {
    case Type::f32: return setp_as<float>(comparison);
    case Type::f64: return setp_as<double>(comparison);
    case Type::s16: return setp_as<i16>(comparison);
    case Type::s32: return setp_as<i32>(comparison);
    case Type::s64: return setp_as<i64>(comparison);
    case Type::u16: case Type::b16: return setp_as<u16>(comparison);
    case Type::u32: case Type::b32: return setp_as<u32>(comparison);
    case Type::u64: case Type::b64: return setp_as<u64>(comparison);
    default: return nullptr;
  }
}
Handler selp_of(int bytes) { return bytes == 8 ? selp<u64> : selp<u32>; }
Handler unpack_of(int bytes, bool two) { return bytes == 8 ? (two ? unpack<u64, 2> : unpack<u64, 4>) : unpack<u32, 2>; }
Handler pack_of(int bytes, bool two) { return bytes == 8 ? (two ? pack<u64, 2> : pack<u64, 4>) : pack<u32, 2>; }
Handler check_zero_of(int bytes) { return bytes == 8 ? check_zero<u64> : bytes == 4 ? check_zero<u32> : check_zero<u16>; }

Handler conversion_of(const Conversion& c) {
  const auto is = [&](Type to, Type from) { return c.to == to && c.from == from; };
  if (c.sat || c.ftz) return convert;
  if (is(Type::f32, Type::f16)) return each<[](u16 a) -> float { return half_to_float(a); }>;
  if (is(Type::f16, Type::f32) && c.round == 'n' && !c.integral) return each<[](float a) -> u16 { return float_to_half(a); }>;
  if (is(Type::s64, Type::s32) && c.to_wide && !c.from_wide) return each<[](i32 a) -> i64 { return a; }>;
  if (is(Type::u64, Type::u32) && c.to_wide && !c.from_wide) return each<[](u32 a) -> u64 { return a; }>;
  if (is(Type::u32, Type::u64) && !c.to_wide && c.from_wide) return each<[](u64 a) -> u32 { return static_cast<u32>(a); }>;
  if (is(Type::f32, Type::s32) && c.round == 'n' && !c.integral) return each<[](i32 a) -> float { return static_cast<float>(a); }>;
  if (is(Type::f32, Type::u16) && c.round == 'n' && !c.integral) return each<[](u16 a) -> float { return static_cast<float>(a); }>;
  if (is(Type::f32, Type::f32) && c.integral && c.round == 'n') return each<[](float a) -> float { return std::nearbyint(a); }>;
  if (c.to == Type::tf32) return each<[](float a) -> u32 { return to_tf32(a); }>;
  return convert;
}
Handler pair_of_halves() {
  return each<[](float a, float b) -> u32 { return float_to_half(b) | static_cast<u32>(float_to_half(a)) << 16; }>;
}
Handler arithmetic_of(const Words& op, Type t) {
  const std::string& base = op[0];
  const int bytes = size_of(t);
  if (base == "shl" || base == "shr")
    return bytes == 8 ? shift_op<u64, i64>(base, is_signed(t)) : bytes == 4 ? shift_op<u32, i32>(base, is_signed(t)) : shift_op<u16, i16>(base, is_signed(t));
  if (any_of(op, "wide")) {
    const bool add = base == "mad";
    return t == Type::s32 ? wide_op<i64, i32>(add) : t == Type::u32 ? wide_op<u64, u32>(add) : t == Type::s16 ? wide_op<i32, i16>(add) : t == Type::u16 ? wide_op<u32, u16>(add) : nullptr;
  }
  if (any_of(op, "hi")) {
    if (t == Type::s32 && base == "mul") return each<[](i32 a, i32 b) -> i32 { return static_cast<i32>((static_cast<i64>(a) * b >> 32)); }>;
    if (t == Type::u32 && base == "mul") return each<[](u32 a, u32 b) -> u32 { return static_cast<u32>((static_cast<u64>(a) * b >> 32)); }>;
    if (t == Type::u32 && base == "mad") return each<[](u32 a, u32 b, u32 c) -> u32 { return static_cast<u32>((static_cast<u64>(a) * b >> 32)) + c; }>;
    if (t == Type::u64 && base == "mul") return each<[](u64 a, u64 b) -> u64 { return static_cast<u64>((static_cast<unsigned __int128>(a) * b >> 64)); }>;
    if (t == Type::s64 && base == "mul") return each<[](i64 a, i64 b) -> i64 { return static_cast<i64>((static_cast<__int128>(a) * b >> 64)); }>;
    return nullptr;
  }
  if (t == Type::f32) return float_op(op);
  if (t == Type::f64) return double_op(base);
  if (t == Type::f16 || t == Type::f16x2) return half_op(op, t == Type::f16x2);
  if (any_of(op, "sat", "cc")) return nullptr;
  if (base == "mad" && bytes == 4) return each<[](u32 a, u32 b, u32 c) -> u32 { return a * b + c; }>;
  if (base == "mad" && bytes == 8) return each<[](u64 a, u64 b, u64 c) -> u64 { return a * b + c; }>;
  if (base == "mad" && bytes == 2) return each<[](u16 a, u16 b, u16 c) -> u16 { return static_cast<u16>(a * b + c); }>;
  if (base == "neg") return bytes == 8 ? each<[](u64 a) -> u64 { return 0 - a; }> : bytes == 4 ? each<[](u32 a) -> u32 { return 0 - a; }> : H1(static_cast<u16>(0 - a));
  if (base == "not") return bytes == 8 ? each<[](u64 a) -> u64 { return ~a; }> : bytes == 4 ? each<[](u32 a) -> u32 { return ~a; }> : H1(static_cast<u16>(~a));
  if (base == "abs") return bytes == 8 ? each<[](i64 a) -> i64 { return a < 0 ? static_cast<i64>(0 - static_cast<u64>(a)) : a; }> : bytes == 4 ? each<[](i32 a) -> i32 { return a < 0 ? static_cast<i32>(0u - static_cast<u32>(a)) : a; }> : nullptr;
  if (base == "clz") return bytes == 8 ? each<[](u64 a) -> u32 { return static_cast<u32>(std::countl_zero(a)); }> : each<[](u32 a) -> u32 { return static_cast<u32>(std::countl_zero(a)); }>;
  if (base == "popc") return bytes == 8 ? each<[](u64 a) -> u32 { return static_cast<u32>(std::popcount(a)); }> : each<[](u32 a) -> u32 { return static_cast<u32>(std::popcount(a)); }>;
  if (base == "brev" && bytes == 4) return each<[](u32 a) -> u32 { u32 r = 0; for (int i = 0; i < 32; ++i) r |= ((a >> i & 1) << (31 - i)); return r; }>;
  if (base == "bfi" && bytes == 4) {
    return [](Warp& w, const Ins& I, u32 m) {
      for (; m; m &= m - 1) {
        const int i = std::countr_zero(m);
        const u32 a = w.words<u32>(I.o[1])[i], b = w.words<u32>(I.o[2])[i], at = w.words<u32>(I.o[3])[i] & 255, length = w.words<u32>(I.o[4])[i] & 255;
        u32 r = b;
        for (u32 j = 0; j < length && at + j < 32; ++j) r = (r & ~(1u << (at + j))) | (a >> j & 1) << (at + j);
        w.words<u32>(I.o[0])[i] = r;
      }
    };
  }
  if (base == "bfe" && t == Type::u32) return each<[](u32 a, u32 b, u32 c) -> u32 { b &= 255, c &= 255; if (b >= 32 || c == 0) return 0; const u32 v = (a >> b); return (c >= 32 ? v : v & ((1u << c) - 1)); }>;
  if (base == "prmt" && bytes == 4)
    return each<[](u32 a, u32 b, u32 c) -> u32 {
      const u64 all = a | static_cast<u64>(b) << 32;
      u32 r = 0;
      for (int i = 0; i < 4; ++i) {
        const u32 which = (c >> (4 * i) & 15);
        u32 byte = static_cast<u32>((all >> (8 * (which & 7))) & 255);
        if (which & 8) byte = byte & 128 ? 255 : 0;
        r |= byte << (8 * i);
      }
      return r;
    }>;
  if (base == "shf" && bytes == 4) {
    const bool left = any_of(op, "l"), wrap = any_of(op, "wrap");
    if (left && wrap) return each<[](u32 a, u32 b, u32 c) -> u32 { c &= 31; return (c ? b << c | a >> (32 - c) : b); }>;
    if (!left && wrap) return each<[](u32 a, u32 b, u32 c) -> u32 { c &= 31; return (c ? b << (32 - c) | a >> c : a); }>;
  }
  if (base == "lop3") {
    return [](Warp& w, const Ins& I, u32 m) {
      const u32 lut = w.words<u32>(I.o[4])[0];
      for (; m; m &= m - 1) {
        const int i = std::countr_zero(m);
        const u32 a = w.words<u32>(I.o[1])[i], b = w.words<u32>(I.o[2])[i], c = w.words<u32>(I.o[3])[i];
        u32 r = 0;
        for (u32 k = 0; k < 8; ++k)
          if (lut >> k & 1) r |= (k & 4 ? a : ~a) & (k & 2 ? b : ~b) & (k & 1 ? c : ~c);
        w.words<u32>(I.o[0])[i] = r;
      }
    };
  }
  return bytes == 8 ? integer_op<u64, i64>(base, is_signed(t)) : bytes == 4 ? integer_op<u32, i32>(base, is_signed(t)) : integer_op<u16, i16>(base, is_signed(t));
}

}  // namespace ptx
