// What `fathom_bench memory` says of plans, and the floor of `fathom_bench fps`.
#include "bench/memory.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bench/floor.hpp"
#include "tests/catch.hpp"

using namespace fathom;

namespace {

MemoryRow row(std::int64_t arena, std::int64_t bound, bool optimal, std::int64_t gain) {
  MemoryReport report;
  report.weight_bytes = 7, report.sum_bytes = 400;
  report.arena_bytes = arena, report.lower_bound_bytes = bound, report.optimal = optimal,
  report.order_gain_bytes = gain;
  return {"net", "cpu", "CPU, 2 threads", "fp32", {8, 32, 64}, report};
}

}  // namespace

TEST_CASE("arenas above their bound are listed with a proof or a gap", "[bench]") {
  const std::vector<MemoryRow> rows = {row(100, 100, true, 0), row(110, 100, true, 0), row(120, 100, false, 300)};
  const std::string text = summary_of(rows);
  INFO(text);
  CHECK(text.find("1 of 3 arenas are as small as their lower bound; not:") == 0);
  CHECK(text.find("net on cpu in fp32 at 64x32, batch 8: 1.1000, and nothing smaller exists") != std::string::npos);
  CHECK(text.find("1.2000, 20 bytes above the bound, not proved") != std::string::npos);
  CHECK(text.find("lowers the bound of 1 of 3, by up to 75.0%") != std::string::npos);

  const auto json = nlohmann::json::parse(to_json(rows));
  CHECK(json["rows"][1].size() == 10);
  CHECK(json["rows"][1]["arena_bytes"] == 110);
  CHECK((json["rows"][1]["width"] == 64 && json["rows"][1]["height"] == 32 && json["rows"][1]["batch"] == 8));
  REQUIRE(json["not_at_bound"].size() == 2);
  CHECK(json["not_at_bound"][0]["proved_smallest"] == true);
  CHECK(json["not_at_bound"][1]["gap_bytes"] == 20);
  REQUIRE(json["order"].size() == 1);
  CHECK(json["order"][0]["order_gain_bytes"] == 300);
  CHECK(summary_of({rows[0]}) == "1 of 1 arenas are as small as their lower bound\n");
}

TEST_CASE("the order of layers says by how much it lowered the bound", "[bench]") {
  const auto gain = [](const char* network, int batch) {
    const Engine engine = Engine::synthetic(network, {.device = Device::cpu, .plan_only = true});
    Frame frame = engine.frame();
    frame.batch = batch;
    return engine.session().memory(frame).order_gain_bytes;
  };
  CHECK(gain("pose_cnn", 1) == 0);  // a chain
  // In the builder's order the most alive at once is 5,898,240 bytes more.
  CHECK(gain("hr_depth", 1) == 5'898'240);
  CHECK(gain("hr_depth", 3) == 3 * gain("hr_depth", 1));
}

TEST_CASE("networks are planned at their own size and at those of the papers' tables", "[bench]") {
  const auto sizes = tabled_sizes("hr_depth");
  CHECK(sizes == std::vector<std::pair<int, int>>{{640, 192}, {1024, 320}, {1280, 384}});
  CHECK(tabled_sizes("drnet_resnet50") == std::vector<std::pair<int, int>>{{304, 228}, {640, 480}});
  CHECK(tabled_sizes("my.safetensors") == std::vector<std::pair<int, int>>{{0, 0}});
  const auto plans = all_plans();
  REQUIRE(!plans.empty());
  CHECK(plans.front().device == Device::cpu);
}

TEST_CASE("a floor is the sum of each step's slower part", "[bench]") {
  const StepInfo moves{.name = "a", .flops = 1e6, .bytes = 2e6}, computes{.name = "b", .flops = 8e6, .bytes = 1e3};
  const StepInfo steps[] = {moves, computes};
  CHECK(floor_ms(steps, {1e9, 1e9}) == Approx(2 + 8));
  CHECK(floor_ms(steps, {1e9, 0}) == 0);
  CHECK(known_rates("CPU, 2 threads", "fp32").bytes_per_s == 0);
  const auto rates = [](const char* precision) {
    const DeviceRates r = known_rates("NVIDIA H200", precision);
    return std::pair(r.bytes_per_s, r.flops_per_s);
  };
  CHECK(rates("fp16") == std::pair(4.3e12, 790e12));
  CHECK(rates("tf32") == std::pair(4.3e12, 395e12));
  CHECK(rates("fp32") == std::pair(4.3e12, 67e12));
}
