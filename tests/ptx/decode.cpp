// Statements to instructions: which handler each opcode has, and where its operands are. From the PTX ISA's manual.
#include <algorithm>
#include <bit>

#include "handlers.hpp"
#include "lanes.hpp"

namespace ptx {
namespace {

void nothing(Warp&, const Ins&, u32) {}
void fence_all(Warp& w, const Ins&, u32) { fence(w); }
void trap(Warp& w, const Ins& I, u32 m) { fault(w, I, std::countr_zero(m), "trap"); }

struct Decoder {
  Kernel& k;
  Function& f;
  std::map<std::string, i32> offsets;
  std::map<std::pair<int, u64>, i32> constants;
  u32 used = 0;

  explicit Decoder(Kernel& kernel) : k(kernel), f(*kernel.function) {}

  i32 room(u32 bytes) {
    if (bytes >= 128) used = (used + 127) / 128 * 128;
    const u32 at = used;
    used += bytes;
    return static_cast<i32>(at);
  }
  static Type special_type(const std::string& name) {
    return name.starts_with("%clock64") || name.starts_with("%globaltimer") ? Type::u64 : Type::u32;
  }
  Type register_type(const std::string& name) {
    const auto found = f.registers.find(name);
    return found == f.registers.end() ? special_type(name) : found->second;
  }
  i32 offset_of(const std::string& name) {
    if (const auto found = offsets.find(name); found != offsets.end()) return found->second;
    const auto declared = f.registers.find(name);
    if (declared == f.registers.end()) {
      static const std::vector<std::string> known = {"%tid.x", "%tid.y", "%tid.z", "%ntid.x", "%ntid.y", "%ntid.z", "%ctaid.x", "%ctaid.y", "%ctaid.z",
          "%nctaid.x", "%nctaid.y", "%nctaid.z", "%laneid", "%warpid", "%nwarpid", "%smid", "%lanemask_eq", "%lanemask_lt", "%lanemask_le", "%lanemask_gt",
          "%lanemask_ge", "%dynamic_smem_size", "%total_smem_size"};
      if (std::find(known.begin(), known.end(), name) == known.end()) throw Fault("a register that is not known: " + name);
      const i32 at = room(128);
      k.special[name] = static_cast<u32>(at);
      return offsets[name] = at;
    }
    const Type t = declared->second;
    return offsets[name] = room(t == Type::pred ? 4 : size_of(t) == 8 ? 256 : 128);
  }
  i32 constant(int bytes, u64 value) {
    if (bytes == 4) value &= 0xFFFFFFFFu;
    const auto [it, fresh] = constants.try_emplace({bytes, value}, 0);
    if (fresh) {
      it->second = room(static_cast<u32>(bytes) * kLanes);
      k.constants.push_back({static_cast<u32>(it->second), {bytes, value}});
    }
    return it->second;
  }
  u64 address_of_symbol(const std::string& name) {
    for (const Parameter& p : f.parameters)
      if (p.name == name) return p.offset;
    if (const auto own = f.variables.find(name); own != f.variables.end()) return own->second.address;
    const auto found = k.module->variables.find(name);
    if (found == k.module->variables.end()) throw Fault("a symbol that is not known: " + name);
    Variable& v = found->second;
    if (v.space != Space::shared) return v.address;
    if (v.open) return kSharedStart + k.dynamic_start;
    return shared_places.at(name);
  }
  std::map<std::string, u64> shared_places;
  // Shared and local variables get their places before any code is decoded, as only then the dynamic part is known.
  void place_variables() {
    const auto up = [](u64 at, u64 align) { return (at + align - 1) / align * align; };
    u64 shared = 0, local = 0, dynamic_align = 16;
    for (auto& [name, v] : f.variables) {
      if (v.space == Space::shared) shared = up(shared, v.align), v.address = kSharedStart + shared, shared += v.bytes;
      if (v.space == Space::local) local = up(local, v.align), v.address = local, local += v.bytes;
    }
    for (auto& [name, v] : k.module->variables) {
      if (v.space != Space::shared || f.body.find(name) == std::string_view::npos) continue;
      if (v.open) {
        dynamic_align = std::max<u64>(dynamic_align, v.align);
      } else {
        shared = up(shared, v.align), shared_places[name] = kSharedStart + shared, shared += v.bytes;
      }
    }
    k.static_shared = static_cast<u32>(shared);
    k.dynamic_start = static_cast<u32>(up(shared, dynamic_align));
    k.local_bytes = static_cast<u32>(up(local, 16));
  }
  i32 source(const Operand& o, int bytes) {  // bytes: 4 or 8, of what an immediate becomes
    switch (o.kind) {
      case Operand::reg: return offset_of(o.name);
      case Operand::immediate:
        if (bytes == 8 && o.is_float32) return constant(8, std::bit_cast<u64>(static_cast<double>(std::bit_cast<float>(static_cast<u32>(o.value)))));
        return constant(bytes, o.value);
      case Operand::symbol:
        if (o.name == "WARP_SZ") return constant(bytes, 32);
        return constant(bytes, address_of_symbol(o.name));
      default: throw Fault("an operand that is no value");
    }
  }
  i32 pred_source(const Operand& o) {
    if (o.kind == Operand::immediate) {
      const i32 at = room(4);
      k.constants.push_back({static_cast<u32>(at), {0, o.value}});
      return at;
    }
    return offset_of(o.name);
  }
  void address(Ins& I, const Operand& o) {
    if (o.kind != Operand::memory) throw Fault("no address");
    I.o[8] = -1, I.immediate = o.offset;
    if (o.name.empty()) return;
    if (o.base_is_register) {
      I.o[8] = offset_of(o.name), I.wide_base = size_of(register_type(o.name)) == 8;
    } else {
      I.immediate += static_cast<i64>(address_of_symbol(o.name));
    }
  }
  void instruction(const Statement& s, Ins& I);
  void arithmetic(const Statement& s, Ins& I);
};

void Decoder::arithmetic(const Statement& s, Ins& I) {
  const std::string& base = s.op[0];
  const Type t = type_of(s.op.back());
  const int bytes = size_of(t);
  const int slot = bytes == 8 ? 8 : 4;
  const auto& o = s.operands;
  I.o[0] = offset_of(o.at(0).name);
  if (t == Type::pred) {
    for (std::size_t i = 1; i < o.size(); ++i) {
      if (o[i].negated) throw Fault("a negated predicate operand");
      I.o[i] = pred_source(o[i]);
    }
    I.run = predicate_op(base);
    return;
  }
  const bool wide = any_of(s.op, "wide");
  if (base == "shl" || base == "shr") {
    I.o[1] = source(o[1], slot), I.o[2] = source(o[2], 4);
    I.run = arithmetic_of(s.op, t);
    return;
  }
  if (base == "selp") {
    I.o[1] = source(o[1], slot), I.o[2] = source(o[2], slot), I.o[3] = offset_of(o[3].name);
    I.run = selp_of(bytes);
    return;
  }
  for (std::size_t i = 1; i < o.size(); ++i) I.o[i] = source(o[i], wide && i == 3 ? (bytes == 4 ? 8 : 4) : slot);
  I.run = arithmetic_of(s.op, t);
  if (I.run && !is_float(t) && (base == "div" || base == "rem")) I.extra = reinterpret_cast<const void*>(I.run), I.run = check_zero_of(bytes);
}

void Decoder::instruction(const Statement& s, Ins& I) {
  std::fill(std::begin(I.o), std::end(I.o), -1);
  const auto& op = s.op;
  const auto& o = s.operands;
  const std::string& base = op[0];
  const Type t = type_of(op.back());
  if (!s.predicate.empty()) I.predicate = offset_of(s.predicate), I.negated = s.negated;
  const auto space = [&] {
    for (const std::string& p : op) {
      if (p == "global") return Space::global;
      if (p.starts_with("shared")) return Space::shared;
      if (p == "local") return Space::local;
      if (p == "param") return Space::param;
      if (p == "const") return Space::constant;
    }
    return Space::generic;
  };
  const auto label = [&](const std::string& name) {
    const auto found = f.labels.find(name);
    if (found == f.labels.end()) throw Fault("an unknown label " + name);
    return static_cast<i32>(found->second);
  };
  if (base == "bra") {
    I.kind = Kind::branch, I.target = label(o.at(0).name);
  } else if (base == "brx") {
    I.kind = Kind::indexed_branch, I.o[0] = offset_of(o.at(0).name), I.target = static_cast<i32>(k.tables.size());
    std::vector<i32> table;
    for (const std::string& name : f.branch_targets.at(o.at(1).name)) table.push_back(label(name));
    k.tables.push_back(table);
  } else if (base == "ret" || base == "exit") {
    I.kind = Kind::exit;
  } else if (base == "bar" || base == "barrier") {
    if (op[1] == "warp") {
      I.kind = Kind::sync, I.run = warp_sync, I.mask_at = source(o.at(0), 4);
      return;
    }
    if (any_of(op, "arrive")) throw Fault("bar.arrive is not done");
    I.kind = Kind::barrier;
    std::size_t i = 0;
    if (any_of(op, "red")) {
      I.n = any_of(op, "popc") ? 1 : any_of(op, "and") ? 2 : 3;
      I.o[2] = offset_of(o.at(i++).name);
    }
    if (o.at(i).kind == Operand::immediate) I.immediate = static_cast<i64>(o[i].value);
    else I.o[0] = offset_of(o[i].name);
    ++i;
    if (any_of(op, "red")) {
      const Operand& p = o.back();
      I.o[3] = offset_of(p.name), I.n |= p.negated ? 8 : 0;
      if (o.size() == i + 2) I.o[1] = source(o[i], 4);
    } else if (i < o.size()) {
      I.o[1] = source(o[i], 4);
    }
  } else if (base == "membar" || base == "fence") {
    I.run = any_of(op, "cta") ? nothing : fence_all;
  } else if (base == "griddepcontrol" || base == "nanosleep" || base == "prefetch") {
    I.run = nothing;
  } else if (base == "trap") {
    I.run = trap;
  } else if (base == "setp") {
    I.o[0] = o.at(0).name.empty() ? -1 : offset_of(o[0].name);
    if (!o[0].second.empty()) I.o[3] = offset_of(o[0].second);
    const int slot = size_of(t) == 8 ? 8 : 4;
    I.o[1] = source(o.at(1), slot), I.o[2] = source(o.at(2), slot);
    static const std::vector<std::string> names = {"eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};
    std::string c = op[1] == "lo" ? "lt" : op[1] == "ls" ? "le" : op[1] == "hi" ? "gt" : op[1] == "hs" ? "ge" : op[1];
    const int which = static_cast<int>(std::find(names.begin(), names.end(), c) - names.begin());
    if (which > 13 || any_of(op, "ftz")) throw Fault("a comparison that is not known");
    if (o.size() > 3) I.o[4] = offset_of(o[3].name), I.n = static_cast<u8>((op[2] == "and" ? 1 : op[2] == "or" ? 2 : 3) | (o[3].negated ? 4 : 0));
    I.run = setp_of(t, which);
  } else if (base == "mov" && (o.at(0).kind == Operand::vector || o.at(1).kind == Operand::vector)) {
    const bool unpacking = o[0].kind == Operand::vector;
    const auto& parts = unpacking ? o[0].parts : o[1].parts;
    const Operand& whole = unpacking ? o[1] : o[0];
    const int bytes = size_of(t);
    I.o[0] = unpacking ? source(whole, bytes) : offset_of(whole.name);
    for (std::size_t i = 0; i < parts.size(); ++i)
      I.o[1 + i] = parts[i].kind == Operand::sink ? -1 : unpacking ? offset_of(parts[i].name) : source(parts[i], 4);
    const bool two = parts.size() == 2;
    I.run = unpacking ? unpack_of(bytes, two) : pack_of(bytes, two);
  } else if (base == "mov" && t != Type::pred) {
    const int slot = size_of(t) == 8 ? 8 : 4;
    I.o[0] = offset_of(o[0].name), I.o[1] = source(o[1], slot);
    I.run = slot == 8 ? each<[](u64 a) -> u64 { return a; }> : each<[](u32 a) -> u32 { return a; }>;
  } else if (base == "cvta") {
    const bool to = op[1] == "to";
    I.o[0] = offset_of(o.at(0).name), I.o[1] = source(o.at(1), 8);
    switch (space()) {
      case Space::shared: I.run = to ? to_shared : each<[](u64 a) -> u64 { return a + kSharedWindow; }>; break;
      case Space::local: I.run = to ? each<[](u64 a) -> u64 { return a - kLocalWindow; }> : each<[](u64 a) -> u64 { return a + kLocalWindow; }>; break;
      case Space::global: case Space::constant: I.run = to_global; break;
      default: break;
    }
  } else if (base == "cvt") {
    const auto first = std::find_if(op.begin() + 1, op.end(), [](const std::string& p) { return type_of(p) != Type::none; });
    const Type to = type_of(*first), from = t;
    if (to == Type::f16x2) {
      if (o.size() != 3 || !any_of(op, "rn")) throw Fault("a conversion that is not known");
      I.o[0] = offset_of(o[0].name), I.o[1] = source(o[1], 4), I.o[2] = source(o[2], 4);
      I.run = pair_of_halves();
      return;
    }
    if (any_of(op, "relu", "satfinite")) throw Fault("a conversion that is not known");
    auto* c = new Conversion;
    c->to = to, c->from = from;
    for (const std::string& p : op) {
      if (p == "rni" || p == "rzi" || p == "rmi" || p == "rpi") c->integral = true, c->round = p[1];
      if (p == "rn" || p == "rz" || p == "rm" || p == "rp") c->round = p[1];
      if (p == "sat") c->sat = true;
      if (p == "ftz") c->ftz = true;
    }
    if (to == Type::tf32 && !any_of(op, "rna")) throw Fault("a conversion to tf32 that is not known");
    const int to_bytes = size_of(register_type(o[0].name)), from_bytes = o[1].kind == Operand::reg ? size_of(register_type(o[1].name)) : size_of(from);
    c->to_wide = to_bytes == 8, c->to_bits = to_bytes * 8, c->from_wide = from_bytes == 8;
    I.o[0] = offset_of(o[0].name), I.o[1] = source(o[1], from_bytes == 8 ? 8 : 4);
    I.extra = c, I.run = conversion_of(*c);
  } else if (base == "ld" || base == "ldu" || base == "st") {
    const bool store_it = base == "st";
    const Operand& values = o.at(store_it ? 1 : 0);
    address(I, o.at(store_it ? 0 : 1));
    const std::vector<Operand> parts = values.kind == Operand::vector ? values.parts : std::vector<Operand>{values};
    I.n = static_cast<u8>(parts.size()), I.bytes = static_cast<u8>(size_of(t)), I.is_signed = is_signed(t);
    I.read_only = any_of(op, "nc");
    if (t == Type::none || parts.size() > 4) throw Fault("a vector that is not known");
    if (any_of(op, "v2") != (I.n == 2) || any_of(op, "v4") != (I.n == 4)) throw Fault("a vector of other length than it says");
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const bool is_register = parts[i].kind == Operand::reg;
      const int bytes = is_register ? size_of(register_type(parts[i].name)) : I.bytes == 8 ? 8 : 4;
      if (is_register && bytes < I.bytes) throw Fault("a register too narrow for what it loads or stores");
      I.width[i] = static_cast<u8>(bytes * 8);
      I.o[i] = parts[i].kind == Operand::sink ? -1 : store_it ? source(parts[i], bytes == 8 ? 8 : 4) : offset_of(parts[i].name);
    }
    I.run = store_it ? store_of(space()) : load_of(space());
  } else if (base == "atom" || base == "red") {
    const bool returns = base == "atom";
    const std::size_t first = returns ? 1 : 0;
    if (returns && o[0].kind != Operand::sink) I.o[0] = offset_of(o[0].name);
    address(I, o.at(first));
    const int slot = size_of(t) == 8 ? 8 : 4;
    I.o[1] = source(o.at(first + 1), slot);
    if (o.size() > first + 2) I.o[2] = source(o[first + 2], slot);
    I.n = 255;
    for (const std::string& p : op)
      if (const auto it = std::find(kAtomics.begin(), kAtomics.end(), p); it != kAtomics.end()) I.n = static_cast<u8>(it - kAtomics.begin());
    if (I.n == 255) throw Fault("an atomic operation that is not known");
    I.run = atomic_of(t, space());
  } else if (base == "cp" && any_of(op, "async") && !any_of(op, "bulk", "mbarrier")) {
    if (any_of(op, "commit_group")) {
      I.run = copies_commit;
    } else if (any_of(op, "wait_group")) {
      I.run = copies_wait, I.immediate = static_cast<i64>(o.at(0).value);
    } else if (any_of(op, "wait_all")) {
      I.run = copies_wait, I.n = 1;
    } else {
      // [to], [from], bytes{, source size | ignore-src}
      if (!o.at(0).base_is_register || !o.at(1).base_is_register) throw Fault("a cp.async between addresses that are not in registers");
      I.o[0] = offset_of(o[0].name), I.immediate = o[0].offset, I.wide_base = size_of(register_type(o[0].name)) == 8;
      I.o[1] = offset_of(o[1].name), I.target = static_cast<i32>(o[1].offset);
      I.n = static_cast<u8>(o.at(2).value);
      if (any_of(op, "cg") && I.n != 16) throw Fault("cp.async.cg copies 16 bytes");
      if (I.n != 4 && I.n != 8 && I.n != 16) throw Fault("cp.async copies 4, 8 or 16 bytes");
      if (o.size() > 3) {
        if (o[3].kind == Operand::reg && register_type(o[3].name) == Type::pred) I.o[3] = offset_of(o[3].name), I.is_signed = o[3].negated;
        else I.o[2] = source(o[3], 4);
      }
      I.run = copy_async;
    }
  } else if (base == "shfl") {
    I.kind = Kind::sync;
    I.o[0] = offset_of(o.at(0).name);
    if (!o[0].second.empty() && o[0].second != "_") I.o[1] = offset_of(o[0].second);
    I.o[2] = source(o.at(1), 4), I.o[3] = source(o.at(2), 4), I.o[4] = source(o.at(3), 4), I.mask_at = source(o.at(4), 4);
    I.run = shuffle_of(op);
  } else if (base == "vote") {
    I.kind = Kind::sync;
    I.o[0] = offset_of(o.at(0).name), I.o[1] = offset_of(o.at(1).name), I.mask_at = source(o.at(2), 4);
    I.n = static_cast<u8>((any_of(op, "all") ? 0 : any_of(op, "any") ? 1 : any_of(op, "uni") ? 2 : 3) | (o[1].negated ? 4 : 0));
    I.run = vote;
  } else if (base == "match" && any_of(op, "any") && t == Type::b32) {
    I.kind = Kind::sync;
    I.o[0] = offset_of(o.at(0).name), I.o[1] = source(o.at(1), 4), I.mask_at = source(o.at(2), 4), I.run = match_any;
  } else if (base == "activemask") {
    I.o[0] = offset_of(o.at(0).name), I.run = active_mask;
  } else if (base == "mma") {
    std::string name;
    for (const std::string& p : op) name += (name.empty() ? "" : ".") + p;
    I.kind = Kind::sync;
    int at = 0;
    for (const Operand& list : o)
      for (const Operand& p : list.parts) I.o[at] = at < 4 ? offset_of(p.name) : source(p, 4), ++at;
    I.run = mma_of(name, at);
    if (!I.run) throw Fault("an mma that is not known, or of other operands than it has");
  } else if (base == "ldmatrix") {
    I.kind = Kind::sync;
    address(I, o.at(1));
    I.n = static_cast<u8>(o[0].parts.size());
    if ((I.n != 1 && I.n != 2 && I.n != 4) || !any_of(op, "x" + std::to_string(I.n)) || !any_of(op, "m8n8") || t != Type::b16) throw Fault("an ldmatrix that is not known");
    for (int i = 0; i < I.n; ++i) I.o[i] = offset_of(o[0].parts[static_cast<std::size_t>(i)].name);
    I.bytes = space() == Space::generic;
    I.run = load_matrix_of(any_of(op, "trans"));
  } else {
    arithmetic(s, I);
  }
  if (I.kind == Kind::alu && !I.run) throw Fault("not done");
}

}  // namespace

void decode(Kernel& k) {
  if (k.ready) return;
  Function& f = *k.function;
  parse_body(f);
  Decoder d(k);
  d.place_variables();
  k.code.clear(), k.constants.clear(), k.special.clear(), k.tables.clear();
  for (std::size_t i = 0; i < f.statements.size(); ++i) {
    Ins ins;
    ins.statement = static_cast<u32>(i);
    try {
      d.instruction(f.statements[i], ins);
    } catch (const std::exception& e) {
      throw Fault(std::string(e.what()) + ": " + f.statements[i].text + " in " + f.name);
    }
    k.code.push_back(ins);
  }
  // Some kernels end without a ret of their own after a loop that never ends; a label may stand at the end.
  Ins end;
  std::fill(std::begin(end.o), std::end(end.o), -1);
  end.kind = Kind::exit, end.statement = static_cast<u32>(f.statements.size() - 1);
  k.code.push_back(end);
  k.register_bytes = d.used;
  k.ready = true;
}

}  // namespace ptx
