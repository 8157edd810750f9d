// What the tables share: all of them in a row, and the values of a case.
#include "tests/kernels/cases.hpp"

#include <cmath>
#include <cstdint>
#include <utility>

namespace fathom::test {

namespace {

std::uint64_t fnv1a64(const std::string& text) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (unsigned char byte : text) hash = (hash ^ byte) * 0x100000001B3u;
  return hash;
}

// The k-th number of a name, in [-1, 1), exact in float.
double uniform(std::uint64_t hash, std::uint64_t k) {
  std::uint64_t z = hash + (k + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return static_cast<double>((z ^ (z >> 31)) >> 40) * 0x1p-23 - 1;
}

std::vector<float> parameter(const std::string& key, const Desc& d) {
  const auto ends_in = [&](const char* end) { return key.ends_with(end); };
  const std::uint64_t hash = fnv1a64(key);
  const double fan_in = static_cast<double>(d.elements()) / static_cast<double>(d.extent[0]);
  std::vector<float> values;
  for (std::int64_t k = 0; k < d.elements(); ++k) {
    const double u = uniform(hash, static_cast<std::uint64_t>(k));
    values.push_back(static_cast<float>(ends_in("running_mean")  ? 0.1 * u
                                        : ends_in("running_var") ? 1 + 0.5 * u
                                        : d.rank >= 2            ? u * std::sqrt(6 / fan_in)
                                        : ends_in("weight")      ? 0.5 + 0.25 * u
                                                                 : 0.1 * u));
  }
  return values;
}

template <std::size_t... K>
std::vector<Case> join_tables(std::index_sequence<K...>) {
  std::vector<Case> all;
  const auto append = [&](const std::vector<Case>& table) { all.insert(all.end(), table.begin(), table.end()); };
  (append(cases_for<std::variant_alternative_t<K, Op>>()), ...);
  return all;
}

}  // namespace

std::size_t data_inputs(const Op& op, std::size_t inputs) { return inputs - parameter_names(op).size(); }

std::vector<std::vector<float>> values_of(const Case& c) {
  const std::vector<const char*> parameters = parameter_names(c.op);
  const std::size_t data = data_inputs(c.op, c.in.size());
  std::vector<std::vector<float>> all;
  for (std::size_t k = 0; k < c.in.size(); ++k) {
    if (k >= data) {
      all.push_back(parameter(c.name + "." + parameters[k - data], c.in[k]));
      continue;
    }
    const std::uint64_t hash = fnv1a64(c.name + ".in" + std::to_string(k));
    std::vector<float> values;
    for (std::int64_t i = 0; i < c.in[k].elements(); ++i) {
      const double u = uniform(hash, static_cast<std::uint64_t>(i));
      const double spread = c.low + (u + 1) / 2 * (static_cast<double>(c.high) - c.low);
      values.push_back(static_cast<float>(c.in[k].dtype == DType::u8 ? std::floor(spread) : spread));
    }
    all.push_back(std::move(values));
  }
  return all;
}

Case with_batch(const Case& c, std::int64_t n) {
  Case result = c;
  for (std::size_t k = 0; k < data_inputs(c.op, c.in.size()); ++k)
    result.in[k] = Desc::nhwc(n, c.in[k].c(), c.in[k].h(), c.in[k].w(), c.in[k].dtype);
  return result;
}

std::vector<Case> all_cases() { return join_tables(std::make_index_sequence<std::variant_size_v<Op>>()); }

}  // namespace fathom::test
