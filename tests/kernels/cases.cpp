// What the tables share: all of them in a row, and the values of a case.
#include "tests/kernels/cases.hpp"

#include <cmath>
#include <cstdint>
#include <utility>

#include "engine/synthetic.hpp"

namespace fathom::test {

namespace {

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
      all.push_back(synthetic_parameter(c.name + "." + parameters[k - data], c.in[k]));
      continue;
    }
    const std::uint64_t hash = fnv1a64(c.name + ".in" + std::to_string(k));
    std::vector<float> values;
    for (std::int64_t i = 0; i < c.in[k].elements(); ++i) {
      const double u = synthetic_uniform(hash, i);
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
