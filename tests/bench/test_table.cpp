#include "bench/table.hpp"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/model.hpp"
#include "fathom/error.hpp"
#include "tests/catch.hpp"

using namespace fathom;

TEST_CASE("what PyTorch keeps of a network is the sum over its operations", "[bench]") {
  struct Case {
    const char* network;
    int width, height;
    double mib;  // by hooks on the official modules, activations in place as they have them
  };
  for (const Case& c : {Case{"drnet_resnet50", 640, 480, 620.9},
                        {"drnet_resnet152", 640, 480, 1155.2},
                        {"drnet_densenet161", 640, 480, 1556.1},
                        {"drnet_senet154", 640, 480, 2530.4},
                        {"rside_resnet50", 640, 480, 2437.8},
                        {"rside_densenet161", 640, 480, 3392.5},
                        {"rside_senet154", 640, 480, 4342.6},
                        {"refinenet_mobilenetv2", 640, 480, 755.3}}) {
    const double mib =
        static_cast<double>(kept_bytes(build_graph(synthetic_model(c.network), {1, c.height, c.width}))) / 1048576;
    INFO(c.network);
    std::printf("%-24s kept %.1f MiB, %.1f by hooks\n", c.network, mib, c.mib);
    CHECK(mib == Approx(c.mib).epsilon(0.065));
  }
}

TEST_CASE("the papers' tables name networks that exist, and figures that are measured", "[bench]") {
  for (const PaperTable& table : paper_tables()) {
    CHECK(&find_paper_table(table.name) == &table);
    for (const PaperRow& row : table.rows) {
      check_size(find_architecture(row.network), {1, row.height, row.width});
      for (const auto& [key, value] : row.paper) {
        INFO(table.name << " " << row.network << " " << key);
        CHECK(std::any_of(table.figures.begin(), table.figures.end(),
                          [&, k = key](const Figure& f) { return f.key == k; }));
        CHECK(value > 0);
      }
    }
  }
  CHECK_THROWS_AS(find_paper_table("rside"), Error);
}

TEST_CASE("a table is filled with what is measured here", "[bench]") {
  const PaperTable& paper = find_paper_table("mobile_baseline");
  TableOptions options{.seconds = 0.01, .only = {"mobile_baseline_1"}};
  const std::vector<TableLine> lines = fill_table(paper, options);
  REQUIRE(lines.size() == paper.figures.size());
  for (const TableLine& line : lines) CHECK(line.here > 0);
  CHECK(lines[0].figure == "mega_multiply_adds");
  CHECK(lines[0].paper == Approx(27.7));
  CHECK(lines[0].ratio() == Approx(27.71 / 27.7).epsilon(1e-3));
  CHECK(lines[1].paper == 0);
  CHECK(lines[1].ratio() == 0);
  CHECK(lines[0].batch == 0);
  const auto ms = std::find_if(lines.begin(), lines.end(), [](const TableLine& l) { return l.figure == "ms"; });
  REQUIRE(ms != lines.end());
  REQUIRE(ms->timing.has_value());
  CHECK((ms->batch == 1 && ms->here == ms->timing->median_ms && ms->timing->inputs == "warm"));
  const std::string text = to_text(paper, lines, "this machine");
  CHECK(text.find("here:  this machine\n") != std::string::npos);
  CHECK(text.find("mobile_baseline_1") != std::string::npos);
  CHECK(text.find(" 27.70 ") != std::string::npos);
  CHECK(text.find("milliseconds") != std::string::npos);
  options.only = {"hr_depth"};
  CHECK_THROWS_AS(fill_table(paper, options), Error);
}

namespace {

// Two small networks that are compared.
PaperTable compared(double memory_bytes) {
  return {.name = "r",
          .memory_bytes = memory_bytes,
          .figures = {{"images_per_s_largest", "images/s", 2, ""}},
          .rows = {{"pose_cnn", 64, 64, {}, ""}, {"mobile_baseline_1", 64, 64, {}, "not quite the paper's"}},
          .ratios = {{"pose_cnn", "mobile_baseline_1"}},
          .ratio_one = 18,
          .ratio_largest = 35};
}

const TableLine& find(const std::vector<TableLine>& lines, const std::string& figure, const std::string& remark) {
  const auto found = std::find_if(lines.begin(), lines.end(), [&](const TableLine& l) {
    return l.figure == figure && l.remark.starts_with(remark);
  });
  REQUIRE(found != lines.end());
  return *found;
}

}  // namespace

TEST_CASE("what a paper claims of two networks stands beside both ways of running them", "[bench]") {
  const PaperTable table = compared(1e7);
  const std::vector<TableLine> without = fill_table(table, {.seconds = 0.01});
  REQUIRE(without.size() == 2 + 4);
  for (const char* way : {"every layer on its own", "fused"}) {
    CHECK((find(without, ratio_one, way).here > 0 && find(without, ratio_one, way).paper == 18));
    CHECK((find(without, ratio_largest, way).here == 0 &&
           find(without, ratio_largest, way).paper == 35));  // not asked for
    CHECK(find(without, ratio_one, way).note == "not quite the paper's");
  }
  std::string text = to_text(table, without, "");
  CHECK(text.find("images/s\n  not measured\n") != std::string::npos);
  CHECK(text.find("[1] not quite the paper's\n") != std::string::npos);
  CHECK(text.find("[2]") == std::string::npos);

  const std::vector<TableLine> with = fill_table(table, {.seconds = 0.01, .largest = true});
  for (const char* way : {"every layer on its own", "fused"}) {
    const TableLine& line = find(with, ratio_largest, way);
    CHECK((line.here > 0 && line.paper == 35));
    CHECK(line.remark.find(", batches ") != std::string::npos);
  }
  CHECK(with[0].batch > 1);
  CHECK(with[0].remark == "batch " + std::to_string(with[0].batch));
  const auto json = nlohmann::json::parse(to_json(table, with));
  CHECK((json["table"] == "r" && json["rows"].size() == 6));
  CHECK((json["rows"][0]["batch"] == with[0].batch && json["rows"][0]["runs"] >= 3));
  CHECK((json["rows"][0]["paper"].is_null() && json["rows"][0]["here"] == with[0].here));
  CHECK((!json["rows"][5].contains("batch") && json["rows"][5]["paper"] == 35));
}

TEST_CASE("the largest batch is as large as time and memory allow, and says what ended it", "[bench]") {
  CHECK(batch_within(60, 100, 500) == 120);
  CHECK(batch_within(60, 100, 36) == 36);
  CHECK(batch_within(60, 1e6, 36) == 1);
  const std::vector<TableLine> hasty = fill_table(compared(1e8), {.seconds = 0.01, .largest = true, .limit_s = 0.001});
  CHECK(hasty[0].batch >= 1);
  CHECK(hasty[0].here > 0);
  INFO(hasty[0].remark);
  CHECK(hasty[0].remark.find("(--limit)") != std::string::npos);
}

TEST_CASE("a row that cannot be measured says why and leaves the others", "[bench]") {
  const PaperTable table{.name = "t",
                         .figures = {{"ms", "ms", 2, ""}},
                         .rows = {{"lite_hr_depth", 100, 100, {{"ms", 1}}, ""}, {"mobile_baseline_1", 64, 64, {}, ""}}};
  const std::vector<TableLine> lines = fill_table(table, {.seconds = 0.01});
  REQUIRE(lines.size() == 2);
  CHECK((lines[0].here == 0 && lines[0].remark.find("100x100") != std::string::npos));
  CHECK(lines[1].here > 0);
}
