// Memory plans as `fathom_bench memory` reports them: beside their lower bound, and what choosing an order gained.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fathom/fathom.hpp"

namespace fathom {

struct MemoryPlanKind {
  Device device = Device::automatic;
  Precision precision = Precision::fp32;
  std::string name = "fp32";  // of the precision
};

// The CPU in float32, a GPU in float32 and in halves; those alone that this build can plan for.
std::vector<MemoryPlanKind> all_plans();

// (width, height) of a network in the papers' tables and its own; {0, 0}, its own, for what is no architecture.
std::vector<std::pair<int, int>> tabled_sizes(const std::string& network);

struct MemoryRow {
  std::string network, device, device_name, precision;
  Frame frame;
  MemoryReport report;
  std::int64_t peak_resident_bytes = 0;  // of the process until then; 0: not asked for

  double ratio() const;  // of the arena to its lower bound
};

std::string memory_header();
std::string to_text(const MemoryRow& row);

// The rows whose arena is not its lower bound, each with the solver's proof or the gap that remains; and how much the
// order of layers lowered the bound.
std::string summary_of(const std::vector<MemoryRow>& rows);

// {"rows": [...], "not_at_bound": [...], "order": [...]}
std::string to_json(const std::vector<MemoryRow>& rows);

}  // namespace fathom
