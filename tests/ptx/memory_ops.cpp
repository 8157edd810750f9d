// Loads, stores, atomic operations, cp.async, and conversions of addresses.
#include <bit>

#include "handlers.hpp"
#include "lanes.hpp"

namespace ptx {
namespace {

template <class T>
u64 extended(const u8* p, bool is_signed) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return is_signed ? static_cast<u64>(i64{v}) : static_cast<std::make_unsigned_t<T>>(v);
}
template <Space S>
void load(Warp& w, const Ins& I, u32 m) {
  const u32 bytes = I.bytes, all = bytes * I.n;
  u64 values[4][kLanes];
  for (u32 left = m; left; left &= left - 1) {
    const int i = std::countr_zero(left);
    const u64 address = address_of(w, I, i);
    const u8* p = nullptr;
    if constexpr (S == Space::shared) p = shared_quick(w, address, all);
    if (!p) p = at_address(w, I, i, S, address, all, Access::read);
    for (int k = 0; k < I.n; ++k) {
      switch (bytes) {
        case 1: values[k][i] = extended<i8>(p + k, I.is_signed); break;
        case 2: values[k][i] = extended<i16>(p + k * 2, I.is_signed); break;
        case 4: values[k][i] = extended<i32>(p + k * 4, I.is_signed); break;
        default: values[k][i] = extended<i64>(p + k * 8, true);
      }
    }
  }
  for (int k = 0; k < I.n; ++k) {
    if (I.o[k] < 0) continue;
    for (u32 left = m; left; left &= left - 1) {
      const int i = std::countr_zero(left);
      if (I.width[k] == 64) w.words<u64>(I.o[k])[i] = values[k][i];
      else w.words<u32>(I.o[k])[i] = static_cast<u32>(I.width[k] == 16 ? values[k][i] & 0xFFFF : values[k][i]);
    }
  }
}
template <Space S>
void store(Warp& w, const Ins& I, u32 m) {
  const u32 bytes = I.bytes, all = bytes * I.n;
  for (; m; m &= m - 1) {
    const int i = std::countr_zero(m);
    u8* p = at_address(w, I, i, S, address_of(w, I, i), all, Access::write);
    for (int k = 0; k < I.n; ++k) {
      const u64 v = I.width[k] == 64 ? w.words<u64>(I.o[k])[i] : w.words<u32>(I.o[k])[i];
      std::memcpy(p + k * bytes, &v, bytes);
    }
  }
}
enum class Atomic { add, min, max, and_, or_, xor_, exch, inc, dec, cas };
template <class T>
T updated(Atomic op, T old, T b, T c) {
  switch (op) {
    case Atomic::add: return static_cast<T>(old + b);
    case Atomic::min: return std::min(old, b);
    case Atomic::max: return std::max(old, b);
    case Atomic::exch: return b;
    case Atomic::cas: return old == b ? c : old;
    default: break;
  }
  if constexpr (std::is_integral_v<T>) {
    switch (op) {
      case Atomic::and_: return old & b;
      case Atomic::or_: return old | b;
      case Atomic::xor_: return old ^ b;
      case Atomic::inc: return old >= b ? T{0} : static_cast<T>(old + 1);
      case Atomic::dec: return old == 0 || old > b ? b : static_cast<T>(old - 1);
      default: break;
    }
  }
  throw Fault("an atomic operation that its type does not have");
}
template <class T, Space S>  // o: d or -1, b, c or -1; n: which
void atomic(Warp& w, const Ins& I, u32 m) {
  using Word = typename Lane<T>::Word;
  for (; m; m &= m - 1) {
    const int i = std::countr_zero(m);
    u8* p = at_address(w, I, i, S, address_of(w, I, i), sizeof(T), Access::atomic);
    if constexpr (S != Space::shared) met_atomically(w, address_of(w, I, i));
    T old;
    std::memcpy(&old, p, sizeof old);
    const T b = Lane<T>::get(w.words<Word>(I.o[1])[i]), c = I.o[2] >= 0 ? Lane<T>::get(w.words<Word>(I.o[2])[i]) : T{};
    const T now = updated(static_cast<Atomic>(I.n), old, b, c);
    std::memcpy(p, &now, sizeof now);
    if (I.o[0] >= 0) w.words<Word>(I.o[0])[i] = Lane<T>::put(old);
  }
}
template <class T>
Handler atomic_as(Space s) {
  return s == Space::shared ? atomic<T, Space::shared> : s == Space::global ? atomic<T, Space::global> : atomic<T, Space::generic>;
}

}  // namespace

Handler load_of(Space s) {
  constexpr Handler all[] = {load<Space::generic>, load<Space::global>, load<Space::shared>, load<Space::local>, load<Space::param>, load<Space::constant>};
  return all[static_cast<int>(s)];
}
Handler store_of(Space s) {
  constexpr Handler all[] = {store<Space::generic>, store<Space::global>, store<Space::shared>, store<Space::local>, nullptr, nullptr};
  return all[static_cast<int>(s)];
}
Handler atomic_of(Type t, Space s) {
  switch (t) {
    case Type::f32: return atomic_as<float>(s);
    case Type::s32: return atomic_as<i32>(s);
    case Type::u32: case Type::b32: return atomic_as<u32>(s);
    case Type::s64: return atomic_as<i64>(s);
    case Type::u64: case Type::b64: return atomic_as<u64>(s);
    default: return nullptr;
  }
}

void copy_async(Warp& w, const Ins& I, u32 m) {
  for (; m; m &= m - 1) {
    const int i = std::countr_zero(m);
    u32 valid = I.n;
    if (I.o[2] >= 0) valid = w.words<u32>(I.o[2])[i];
    if (I.o[3] >= 0 && ((w.bits(I.o[3]) >> i & 1) != (I.is_signed ? 1u : 0u))) valid = 0;
    const u64 to = I.wide_base ? w.words<u64>(I.o[0])[i] : w.words<u32>(I.o[0])[i];
    async_copy(w, I, i, static_cast<u32>(to + static_cast<u64>(I.immediate)), w.words<u64>(I.o[1])[i] + static_cast<u64>(I.target), I.n, valid);
  }
}
void copies_commit(Warp& w, const Ins&, u32 m) {
  for (; m; m &= m - 1) ++w.groups[std::countr_zero(m)];
}
void copies_wait(Warp& w, const Ins& I, u32 m) { finish_copies(w, I, m, static_cast<u32>(I.immediate), I.n != 0); }

void to_shared(Warp& w, const Ins& I, u32 m) {
  for (; m; m &= m - 1) {
    const int i = std::countr_zero(m);
    const u64 a = w.words<u64>(I.o[1])[i];
    if (a < kSharedWindow || a >= kSharedWindow + kWindowBytes) fault(w, I, i, "cvta.to.shared of what is not shared memory");
    w.words<u64>(I.o[0])[i] = a - kSharedWindow;
  }
}
void to_global(Warp& w, const Ins& I, u32 m) {
  for (; m; m &= m - 1) {
    const int i = std::countr_zero(m);
    const u64 a = w.words<u64>(I.o[1])[i];
    if ((a >= kSharedWindow && a < kSharedWindow + kWindowBytes) || (a >= kLocalWindow && a < kLocalWindow + kWindowBytes))
      fault(w, I, i, "cvta.to.global of what is not global memory");
    w.words<u64>(I.o[0])[i] = a;
  }
}

}  // namespace ptx
