// What each probe must answer, computed one scalar at a time from the PTX manual's description of the instruction
// (which place of the matrix a lane's element i is), without the vocabulary and without the emulator.
#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <map>
#include <stdexcept>

#include "tests/emulator/conformance/conformance.hpp"

namespace fathom::conformance {
namespace {

using U = std::uint32_t;

float as_float(U bits) { return std::bit_cast<float>(bits); }
U as_bits(double x) { return std::bit_cast<U>(static_cast<float>(x)); }

// fp16 by its definition: sign, 5 bits of exponent, 10 of fraction.
double half_value(U bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double sign = bits >> 15 & 1 ? -1 : 1;
  if (exponent == 31) return fraction ? NAN : sign * INFINITY;
  return sign * (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25));
}
// The half nearest to x, ties to even; found by rounding to the spacing of halves there.
U nearest_half(double x) {
  const U sign = std::signbit(x) ? 0x8000 : 0;
  const double magnitude = std::fabs(x);
  if (std::isnan(x)) return 0x7FFF;
  if (magnitude >= 65520) return sign | 0x7C00;
  const int exponent = magnitude < std::ldexp(1, -14) ? -14 : std::ilogb(magnitude);
  const double steps = std::nearbyint(std::ldexp(magnitude, 10 - exponent));  // 1024 .. 2048, fewer if subnormal
  return sign | static_cast<U>(steps + (exponent + 14) * 1024.0);
}

// d = a b + c, element by element; `row` and `column` say where element i of a lane stands.
struct Layout {
  int k;
  int a_count, b_count;
  std::function<int(int group, int member, int i)> a_row, a_column, b_row;  // b's column is the group
  std::function<double(const U* registers, int i)> element;
  int a_registers, b_registers;
};

Words multiply(const Words& in, const Layout& l) {
  std::vector<std::vector<double>> a(16, std::vector<double>(static_cast<std::size_t>(l.k)));
  std::vector<std::vector<double>> b(static_cast<std::size_t>(l.k), std::vector<double>(8)),
      c(16, std::vector<double>(8));
  const int per_lane = l.a_registers + l.b_registers + 4;
  const auto c_row = [](int group, int i) { return i < 2 ? group : group + 8; };
  const auto c_column = [](int member, int i) { return member * 2 + (i & 1); };
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane >> 2, member = lane % 4;
    const U* r = in.data() + lane * per_lane;
    for (int i = 0; i < l.a_count; ++i) {
      a.at(static_cast<std::size_t>(l.a_row(group, member, i)))
          .at(static_cast<std::size_t>(l.a_column(group, member, i))) = l.element(r, i);
    }
    for (int i = 0; i < l.b_count; ++i) {
      b.at(static_cast<std::size_t>(l.b_row(group, member, i))).at(static_cast<std::size_t>(group)) =
          l.element(r + l.a_registers, i);
    }
    for (int i = 0; i < 4; ++i) {
      c[static_cast<std::size_t>(c_row(group, i))][static_cast<std::size_t>(c_column(member, i))] =
          as_float(r[per_lane - 4 + i]);
    }
  }
  Words out;
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const auto m = static_cast<std::size_t>(c_row(lane >> 2, i)), n = static_cast<std::size_t>(c_column(lane % 4, i));
      double sum = c[m][n];
      for (std::size_t k = 0; k < b.size(); ++k) sum += a[m][k] * b[k][n];
      out.push_back(as_bits(sum));
    }
  }
  return out;
}

double half_element(const U* registers, int i) { return half_value(registers[i / 2] >> i % 2 * 16 & 0xFFFF); }
double tf32_element(const U* registers, int i) { return as_float(registers[i] & 0xFFFFE000u); }

Words mma_m16n8k16(const Words& in) {
  return multiply(in,
                  {16, 8, 4, [](int group, int, int i) { return i < 2 || (i >= 4 && i < 6) ? group : group + 8; },
                   [](int, int member, int i) { return member * 2 + (i & 1) + (i >= 4 ? 8 : 0); },
                   [](int, int member, int i) { return member * 2 + (i & 1) + (i >= 2 ? 8 : 0); }, half_element, 4, 2});
}
Words mma_m16n8k8(const Words& in) {
  return multiply(in, {8, 4, 2, [](int group, int, int i) { return i < 2 ? group : group + 8; },
                       [](int, int member, int i) { return member * 2 + (i & 1); },
                       [](int, int member, int i) { return member * 2 + (i & 1); }, half_element, 2, 1});
}
Words mma_m16n8k8_tf32(const Words& in) {
  return multiply(in, {8, 4, 2, [](int group, int, int i) { return i == 0 || i == 2 ? group : group + 8; },
                       [](int, int member, int i) { return i < 2 ? member : member + 4; },
                       [](int, int member, int i) { return i == 0 ? member : member + 4; }, tf32_element, 4, 2});
}

Words to_tf32(const Words& in) {
  Words out;
  for (U bits : in) {
    const double x = as_float(bits);
    const double step = std::ldexp(1, std::ilogb(x) - 10);
    out.push_back(as_bits(std::round(x / step) * step));  // std::round: ties away from zero
  }
  return out;
}

Words ldmatrix(const Words& in, int matrices, bool transposed) {
  const auto half_at = [&](int row, int column) {  // of the row that lane `row` points at
    const U word = in[static_cast<std::size_t>((row * 7 + 3) % 32 * 4 + column / 2)];
    return word >> column % 2 * 16 & 0xFFFF;
  };
  Words out;
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < matrices; ++i) {
      const int r = lane / 4, c = lane % 4 * 2;
      out.push_back(transposed ? half_at(8 * i + c, r) | half_at(8 * i + c + 1, r) << 16
                               : half_at(8 * i + r, c) | half_at(8 * i + r, c + 1) << 16);
    }
  }
  return out;
}

Words cp_async(const Words& in, int bytes) {
  const auto byte_at = [&](int i) { return in[static_cast<std::size_t>(i / 4)] >> i % 4 * 8 & 0xFF; };
  Words out(in.size());
  for (int group = 0; group < 3; ++group) {
    for (int t = 0; t < 64; ++t) {
      const int source = (t + 13) % 64, valid = group == 0 ? source % (bytes + 1) : bytes;
      for (int i = 0; i < bytes; ++i) {
        const int at = group * 64 * bytes + t * bytes + i;
        const U byte = i < valid ? byte_at(group * 64 * bytes + source * bytes + i) : 0;
        out[static_cast<std::size_t>(at / 4)] |= byte << at % 4 * 8;
      }
    }
  }
  return out;
}

Words cp_async_or_zeros(const Words& in) {
  const int words = static_cast<int>(in.size()) / 64;
  Words out;
  for (int k = 0; k < 64 * words; ++k) {
    const int source = (k / words + 13) % 64;
    out.push_back(source % 3 == 0 ? 0 : in[static_cast<std::size_t>(source * words + k % words)]);
  }
  return out;
}

Words shuffle(const Words& in, int width) {
  Words out;
  for (int lane = 0; lane < 32; ++lane) {
    const int begin = lane / width * width, end = begin + width;
    const auto value = [&](int source) { return in[static_cast<std::size_t>(source)]; };
    out.push_back(value(begin + lane * 5 % 37 % width));
    out.push_back(value((lane ^ 3) < end ? lane ^ 3 : lane));
    out.push_back(value((lane ^ 16) < end ? lane ^ 16 : lane));
    out.push_back(value(lane - 3 >= begin ? lane - 3 : lane));
    out.push_back(value(lane + 3 < end ? lane + 3 : lane));
    out.push_back(value(lane + 1 < end ? lane + 1 : lane));
  }
  return out;
}

Words vote(const Words& in) {
  Words out;
  for (std::size_t lane = 0; lane < 32; ++lane) {
    U odd = 0, half_odd = 0, any = 0, all = 1;
    for (std::size_t other = 0; other < 32; ++other) {
      odd |= (in[other] & 1) << other;
      if (other / 16 != lane / 16) continue;
      half_odd |= (in[other] & 1) << other;
      any |= in[other] % 16 == 0;
      all &= in[other] % 16 != 0;
    }
    for (U v : {odd, half_odd, any, all}) out.push_back(v);
  }
  return out;
}

Words block_votes(const Words& in) {
  const auto odd = static_cast<U>(std::count_if(in.begin(), in.end(), [](U v) { return v & 1; }));
  const U zero = std::count(in.begin(), in.end(), 0u) > 0;
  Words out;
  for (std::size_t t = 0; t < in.size(); ++t) out.insert(out.end(), {odd, zero, zero ^ 1});
  return out;
}

// Lane l and lane l ^ bits add up, for bits = 16, 8, ...; then the warps in their order.
Words reduce(const Words& in) {
  const auto butterfly = [](std::vector<float> v, int width, bool largest) {
    for (std::size_t bits = static_cast<std::size_t>(width) / 2; bits > 0; bits /= 2) {
      std::vector<float> next = v;
      for (std::size_t i = 0; i < v.size(); ++i) next[i] = largest ? std::max(v[i], v[i ^ bits]) : v[i] + v[i ^ bits];
      v = next;
    }
    return v;
  };
  std::vector<float> v;
  for (U bits : in) v.push_back(as_float(bits));
  const auto sum = butterfly(v, 32, false), sum4 = butterfly(v, 4, false), most = butterfly(v, 32, true);
  float total = 0;
  for (std::size_t warp = 0; warp < 4; ++warp) total += sum[warp * 32];
  Words out;
  for (std::size_t i = 0; i < in.size(); ++i) {
    out.insert(out.end(), {as_bits(sum[i]), as_bits(sum4[i]), as_bits(most[i]), as_bits(total)});
  }
  return out;
}

Words last_block(const Words& in) {
  Words out(64), partial;
  for (std::size_t i = 0; i < in.size(); ++i) partial.push_back(in[i] % 1000), out[i % 64] += in[i] % 1000;
  out.insert(out.end(), partial.begin(), partial.end());
  out.push_back(0);
  return out;
}

Words vectors(const Words& in) {
  Words out;
  for (std::size_t t = 0; t < 32; ++t) {
    for (std::size_t i = 0; i < 4; ++i) out.push_back(in[(t ^ 1) * 4 + i]);
  }
  for (std::size_t t = 0; t < 32; ++t) out.push_back(in[t ^ 2]);
  for (U pair : in) out.insert(out.end(), {as_bits(half_value(pair & 0xFFFF)), as_bits(half_value(pair >> 16))});
  return out;
}

Words half_to_float(const Words& in) {
  Words out;
  for (U pair : in) out.insert(out.end(), {as_bits(half_value(pair & 0xFFFF)), as_bits(half_value(pair >> 16))});
  return out;
}
Words float_to_half(const Words& in) {
  Words out;
  for (std::size_t i = 0; i < in.size(); i += 2) {
    out.push_back(nearest_half(as_float(in[i])) | nearest_half(as_float(in[i + 1])) << 16);
  }
  return out;
}

// Where one is a NaN, the NaN that every such instruction answers with.
Words larger_halves(const Words& in) {
  const auto larger = [](U a, U b) -> U {
    const double x = half_value(a), y = half_value(b);
    return std::isnan(x) || std::isnan(y) ? 0x7FFF : x > y ? a : b;
  };
  Words out;
  for (std::size_t i = 0; i < in.size(); i += 2) {
    out.push_back(larger(in[i] & 0xFFFF, in[i + 1] & 0xFFFF) | larger(in[i] >> 16, in[i + 1] >> 16) << 16);
  }
  return out;
}

Words fast_math(const Words& in) {
  Words out;
  for (U bits : in) {
    const double x = as_float(bits), positive = x * x + 0.1;
    out.insert(out.end(), {as_bits(std::exp(x)), as_bits(1 / std::sqrt(positive)), as_bits(x / positive),
                           as_bits(std::clamp(x, 0.0, 1.0))});
  }
  return out;
}

Words atomics(const Words& in) {
  Words out(5);
  double sum = 0;
  for (std::size_t i = 0; i < in.size(); ++i) {
    out[0] += in[i];
    out[1] = std::max(out[1], in[i]);
    out[2] |= in[i] & in[(i + 1) % 32];
    out[3] = out[3] >= 20 ? 0 : out[3] + 1;
    sum += in[i] % 1000;
  }
  out[4] = as_bits(sum);
  return out;
}

}  // namespace

Words make_input(const Probe& probe) {
  std::uint64_t state = 0x9E3779B97F4A7C15ull;
  for (char letter : probe.name) state = (state ^ static_cast<unsigned char>(letter)) * 0x100000001B3ull;
  const auto random_bits = [&state] {  // splitmix64
    std::uint64_t z = state += 0x9E3779B97F4A7C15ull;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return static_cast<U>((z ^ z >> 31) >> 16);
  };
  const auto uniform = [&] { return random_bits() / 4294967296.0 * 4 - 2; };
  Words in;
  for (int i = 0; i < probe.in_words; ++i) {
    // The accumulators of a product are floats between halves: as bits these are small, and as good as any.
    if (probe.input == Input::bits) {
      U bits = random_bits();
      if (probe.name == "half_to_float") bits &= ~0x04000400u;  // no infinity, no NaN: its payload is nobody's promise
      in.push_back(bits);
    } else if (probe.input == Input::floats) {
      in.push_back(as_bits(uniform()));
    } else {
      in.push_back(nearest_half(uniform()) | nearest_half(uniform()) << 16);
    }
  }
  if (probe.name == "mma_m16n8k16" || probe.name == "mma_m16n8k8") {  // the last four words of a lane are floats
    const std::size_t per_lane = in.size() / 32;
    for (std::size_t i = 0; i < in.size(); ++i) {
      if (i % per_lane >= per_lane - 4) in[i] = as_bits(uniform());
    }
  }
  if (probe.name == "to_tf32") {  // ties, which random numbers never meet
    for (std::size_t i = 0; i < in.size(); i += 2) in[i] = (in[i] & ~0x1FFFu) | 0x1000u;
  }
  if (probe.name == "larger_halves") {  // a NaN in the first, in the second, in both
    in[0] = (in[0] & ~0xFFFFu) | 0x7FFFu;
    in[3] = (in[3] & 0xFFFFu) | 0x7FFF0000u;
    in[4] = in[5] = 0x7FFF7FFFu;
  }
  return in;
}

Words reference(const Probe& probe, const Words& in) {
  static const std::map<std::string, std::function<Words(const Words&)>> kReferences = {
      {"mma_m16n8k16", mma_m16n8k16},
      {"mma_m16n8k8", mma_m16n8k8},
      {"mma_m16n8k8_tf32", mma_m16n8k8_tf32},
      {"to_tf32", to_tf32},
      {"ldmatrix_x1", [](const Words& w) { return ldmatrix(w, 1, false); }},
      {"ldmatrix_x2", [](const Words& w) { return ldmatrix(w, 2, false); }},
      {"ldmatrix_x4", [](const Words& w) { return ldmatrix(w, 4, false); }},
      {"ldmatrix_transposed_x1", [](const Words& w) { return ldmatrix(w, 1, true); }},
      {"ldmatrix_transposed_x2", [](const Words& w) { return ldmatrix(w, 2, true); }},
      {"ldmatrix_transposed_x4", [](const Words& w) { return ldmatrix(w, 4, true); }},
      {"cp_async_16", [](const Words& w) { return cp_async(w, 16); }},
      {"cp_async_8", [](const Words& w) { return cp_async(w, 8); }},
      {"cp_async_4", [](const Words& w) { return cp_async(w, 4); }},
      {"cp_async_or_zeros_16", cp_async_or_zeros},
      {"cp_async_or_zeros_4", cp_async_or_zeros},
      {"shuffle_32", [](const Words& w) { return shuffle(w, 32); }},
      {"shuffle_8", [](const Words& w) { return shuffle(w, 8); }},
      {"vote", vote},
      {"block_votes", block_votes},
      {"reduce", reduce},
      {"last_block", last_block},
      {"vectors", vectors},
      {"half_to_float", half_to_float},
      {"float_to_half", float_to_half},
      {"larger_halves", larger_halves},
      {"fast_math", fast_math},
      {"atomics", atomics},
  };
  return kReferences.at(probe.name)(in);
}

}  // namespace fathom::conformance
