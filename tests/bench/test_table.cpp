#include "bench/table.hpp"

#include <algorithm>
#include <cstdio>

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
  const std::string text = to_text(paper, lines);
  CHECK(text.find("mobile_baseline_1") != std::string::npos);
  CHECK(text.find(" 27.70 ") != std::string::npos);
  CHECK(text.find("milliseconds") != std::string::npos);
  options.only = {"hr_depth"};
  CHECK_THROWS_AS(fill_table(paper, options), Error);

  PaperTable ratios{.name = "r",
                    .memory_bytes = 1e7,
                    .rows = {{"pose_cnn", 64, 64, {}, ""}, {"mobile_baseline_1", 64, 64, {}, ""}},
                    .ratios = {{"pose_cnn", "mobile_baseline_1"}},
                    .ratio_one = 18,
                    .ratio_largest = 35};
  options.only.clear();
  const std::vector<TableLine> both = fill_table(ratios, options);
  REQUIRE(both.size() == 4);
  CHECK((both[0].note == "every layer on its own" && both[1].note == "fused"));
  CHECK((both[0].here > 0 && both[1].here > 0 && both[0].paper == 18));
  CHECK((both[2].here == 0 && both[2].paper == 35));  // not asked for
}

TEST_CASE("a row that cannot be measured says why and leaves the others", "[bench]") {
  const PaperTable table{.name = "t",
                         .figures = {{"ms", "ms", 2, ""}},
                         .rows = {{"lite_hr_depth", 100, 100, {{"ms", 1}}, ""}, {"mobile_baseline_1", 64, 64, {}, ""}}};
  const std::vector<TableLine> lines = fill_table(table, {.seconds = 0.01});
  REQUIRE(lines.size() == 2);
  CHECK((lines[0].here == 0 && lines[0].note.find("100x100") != std::string::npos));
  CHECK(lines[1].here > 0);
}
