// `fathom_bench table`: papers' tables beside what is measured here, printed and kept.
#pragma once

#include <string>
#include <vector>

#include "bench/recipe.hpp"
#include "bench/table.hpp"
#include "samples/cli.hpp"

namespace fathom {

struct TableFlags {
  cli::EngineFlags engine;
  std::vector<std::string> papers;
  std::string json;
  TableOptions options;

  void add_to(CLI::App& app);
};

void print_tables(const TableFlags& flags, Json report);

}  // namespace fathom
