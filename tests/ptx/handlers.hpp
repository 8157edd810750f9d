// What instructions do, chosen by opcode, type and address space; null: not done. Operands are as the decoder lays them out.
#pragma once
#include <string>
#include <vector>

#include "vm.hpp"

namespace ptx {

using Words = std::vector<std::string>;  // of an opcode: "ld", "global", "u32"
template <class... S>
bool any_of(const Words& op, S... names) {
  for (const std::string& part : op)
    if (((part == names) || ...)) return true;
  return false;
}

// ---- arithmetic.cpp: within a lane
Handler predicate_op(const std::string& base);
Handler setp_of(Type t, int comparison);  // o: p, a, b, q or -1, c or -1; n: 1 and, 2 or, 3 xor with c, which is negated by 4
Handler selp_of(int bytes);
Handler unpack_of(int bytes, bool two);  // o: whole, parts
Handler pack_of(int bytes, bool two);
struct Conversion {
  Type to, from;
  char round = 'n';  // n z m p, or a: ties away
  bool integral = false, sat = false, ftz = false, from_wide = false, to_wide = false;
  int to_bits = 32;
};
Handler conversion_of(const Conversion& c);  // finds it again in Ins::extra
Handler pair_of_halves();
Handler arithmetic_of(const Words& op, Type t);
Handler check_zero_of(int bytes);  // notes a division by zero, and goes on with the handler in Ins::extra

// ---- memory_ops.cpp: the address is o[8] + immediate
inline u64 address_of(Warp& w, const Ins& I, int lane) {
  if (I.o[8] < 0) return static_cast<u64>(I.immediate);
  return I.wide_base ? w.words<u64>(I.o[8])[lane] + static_cast<u64>(I.immediate)
                     : static_cast<u32>(w.words<u32>(I.o[8])[lane] + static_cast<u32>(I.immediate));
}
Handler load_of(Space s);
Handler store_of(Space s);
Handler atomic_of(Type t, Space s);  // o: d or -1, b, c or -1; n: which of kAtomics
inline const Words kAtomics = {"add", "min", "max", "and", "or", "xor", "exch", "inc", "dec", "cas"};
void copy_async(Warp& w, const Ins& I, u32 m);  // o: to, from, source size or -1, ignore-src or -1; n: bytes
void copies_commit(Warp& w, const Ins& I, u32 m);
void copies_wait(Warp& w, const Ins& I, u32 m);
void to_shared(Warp& w, const Ins& I, u32 m);
void to_global(Warp& w, const Ins& I, u32 m);

// ---- warp_ops.cpp: between lanes
Handler shuffle_of(const Words& op);              // o: d, p or -1, a, b, c
void vote(Warp& w, const Ins& I, u32 m);          // n: 0 all, 1 any, 2 uni, 3 ballot; + 4: negated
void match_any(Warp& w, const Ins& I, u32 m);
void active_mask(Warp& w, const Ins& I, u32 m);
void warp_sync(Warp& w, const Ins& I, u32 m);
Handler mma_of(const std::string& name, int operands);
Handler load_matrix_of(bool transposed);          // n: matrices; o: registers

}  // namespace ptx
