#include "bench/memory.hpp"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/papers.hpp"
#include "fathom/error.hpp"
#include "models/architectures.hpp"

namespace fathom {

namespace {

using Json = nlohmann::ordered_json;
constexpr double mib = 1048576;

template <class... Values>
std::string printed(const char* form, Values... values) {
  char text[256];
  std::snprintf(text, sizeof text, form, values...);
  return text;
}

std::string place_of(const MemoryRow& row) {
  return row.network + " on " + row.device + " in " + row.precision + " at " + std::to_string(row.frame.width) + "x" +
         std::to_string(row.frame.height) + ", batch " + std::to_string(row.frame.batch);
}

Json identity(const MemoryRow& row) {
  return {{"network", row.network},   {"device", row.device},       {"precision", row.precision},
          {"width", row.frame.width}, {"height", row.frame.height}, {"batch", row.frame.batch}};
}

double order_share(const MemoryRow& row) {  // of what the bound would be without
  const double gain = static_cast<double>(row.report.order_gain_bytes);
  return gain > 0 ? gain / (static_cast<double>(row.report.lower_bound_bytes) + gain) : 0;
}

}  // namespace

std::vector<MemoryPlanKind> all_plans() {
  std::vector<MemoryPlanKind> kinds = {{Device::cpu, Precision::fp32, "fp32"}};
  try {
    EngineOptions options{.device = Device::cuda, .plan_only = true};
    Engine::synthetic("pose_cnn", options);
    kinds.push_back({Device::cuda, Precision::fp32, "fp32"});
    kinds.push_back({Device::cuda, Precision::fp16, "fp16"});
  } catch (const Error& e) {
    std::fprintf(stderr, "fathom_bench: no plans for a GPU: %s\n", e.what());
  }
  return kinds;
}

std::vector<std::pair<int, int>> tabled_sizes(const std::string& network) {
  for (const Architecture& a : architectures()) {
    if (a.name != network) continue;
    const ModelConfig& own = a.config;
    std::vector<std::pair<int, int>> sizes{own.crop_width ? std::pair(own.crop_width, own.crop_height)
                                                          : std::pair(own.input_width, own.input_height)};
    for (const PaperTable& table : paper_tables())
      for (const PaperRow& row : table.rows)
        if (row.network == network &&
            std::find(sizes.begin(), sizes.end(), std::pair(row.width, row.height)) == sizes.end())
          sizes.emplace_back(row.width, row.height);
    return sizes;
  }
  return {{0, 0}};
}

double MemoryRow::ratio() const {
  return report.lower_bound_bytes
             ? static_cast<double>(report.arena_bytes) / static_cast<double>(report.lower_bound_bytes)
             : 1;
}

std::string memory_header() {
  return printed("%-34s %-9s %-10s %5s %12s %12s %12s %7s %12s %8s", "network", "device", "size", "batch", "sum MiB",
                 "bound MiB", "arena MiB", "ratio", "MiB/image", "by order");
}

std::string to_text(const MemoryRow& row) {
  const MemoryReport& m = row.report;
  const std::string device = row.device + " " + row.precision;
  const std::string size = std::to_string(row.frame.width) + "x" + std::to_string(row.frame.height);
  const double arena = static_cast<double>(m.arena_bytes) / mib;
  return printed("%-34s %-9s %-10s %5d %12.3f %12.3f %12.3f %7.3f %12.3f %7.1f%%", row.network.c_str(), device.c_str(),
                 size.c_str(), row.frame.batch, static_cast<double>(m.sum_bytes) / mib,
                 static_cast<double>(m.lower_bound_bytes) / mib, arena, row.ratio(), arena / row.frame.batch,
                 100 * order_share(row));
}

std::string summary_of(const std::vector<MemoryRow>& rows) {
  std::string missed;
  int at_bound = 0, gained = 0;
  const MemoryRow* most = nullptr;
  for (const MemoryRow& row : rows) {
    at_bound += row.report.arena_bytes == row.report.lower_bound_bytes;
    gained += row.report.order_gain_bytes > 0;
    if (!most || order_share(row) > order_share(*most)) most = &row;
    if (row.report.arena_bytes != row.report.lower_bound_bytes)
      missed += "  " + place_of(row) + ": " + printed("%.4f", row.ratio()) +
                (row.report.optimal
                     ? ", and nothing smaller exists"
                     : printed(", %lld bytes above the bound, not proved to be needed",
                               static_cast<long long>(row.report.arena_bytes - row.report.lower_bound_bytes))) +
                "\n";
  }
  std::string text = printed("%d of %zu arenas are as small as their lower bound%s\n", at_bound, rows.size(),
                             missed.empty() ? "" : "; not:") +
                     missed;
  if (gained)
    text += printed("the order of layers lowers the bound of %d of %zu, by up to %.1f%%: ", gained, rows.size(),
                    100 * order_share(*most)) +
            place_of(*most) + "\n";
  return text;
}

std::string to_json(const std::vector<MemoryRow>& rows) {
  Json json{{"rows", Json::array()}, {"not_at_bound", Json::array()}, {"order", Json::array()}};
  for (const MemoryRow& row : rows) {
    const MemoryReport& m = row.report;
    Json entry = identity(row);
    entry.update({{"sum_bytes", m.sum_bytes},
                  {"lower_bound_bytes", m.lower_bound_bytes},
                  {"arena_bytes", m.arena_bytes},
                  {"weight_bytes", m.weight_bytes}});
    if (row.peak_resident_bytes) entry["peak_resident_bytes"] = row.peak_resident_bytes;
    json["rows"].push_back(entry);
    json["device_names"][row.device] = row.device_name;
    if (m.arena_bytes != m.lower_bound_bytes) {
      entry = identity(row);
      entry.update(
          {{"ratio", row.ratio()}, {"gap_bytes", m.arena_bytes - m.lower_bound_bytes}, {"proved_smallest", m.optimal}});
      json["not_at_bound"].push_back(entry);
    }
    if (m.order_gain_bytes) {
      entry = identity(row);
      entry.update({{"order_gain_bytes", m.order_gain_bytes}, {"share_of_bound", order_share(row)}});
      json["order"].push_back(entry);
    }
  }
  return json.dump();
}

}  // namespace fathom
