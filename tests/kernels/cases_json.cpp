// The case tables as JSON, one case a line: what tests/golden/make_op_goldens.py reads.
#include <cstdlib>
#include <fstream>

#include "engine/json_fields.hpp"
#include "tests/catch.hpp"
#include "tests/kernels/cases.hpp"

namespace fathom::test {

namespace {

std::vector<std::int64_t> shape(const Desc& d) { return {d.extent.begin(), d.extent.begin() + d.rank}; }

}  // namespace

std::string to_json(const Case& c) {
  JsonWriter::json line{{"name", c.name}, {"op", name_of(c.op)}};
  line["in"] = JsonWriter::json::array();
  for (const Desc& x : c.in) line["in"].push_back({{"dtype", to_string(x.dtype)}, {"shape", shape(x)}});
  line["out"] = shape(infer(c.op, c.in));
  line["parameters"] = parameter_names(c.op);
  line["low"] = JsonWriter::write(c.low), line["high"] = JsonWriter::write(c.high);
  line["fields"] = JsonWriter::json::object();
  std::visit([&](const auto& op) { JsonWriter::write_fields(op, line["fields"], true); }, c.op);
  return line.dump();
}

}  // namespace fathom::test

TEST_CASE("the case tables go to the file that FATHOM_CASES names", "[.print_cases]") {
  const char* path = std::getenv("FATHOM_CASES");
  if (!path) return;  // selected by a filter that only excludes others
  std::ofstream file(path);
  for (const auto& table : {fathom::test::all_cases(), fathom::test::fused_cases()})
    for (const fathom::test::Case& c : table) file << fathom::test::to_json(c) << '\n';
  REQUIRE(file.good());
}
