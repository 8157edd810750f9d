// Placement problems as files, so that the memory planner can be measured on problems that are not ours: CSV with a
// header line that names the columns id, lower, upper and size in any order. A buffer lives from lower to upper, upper
// left out.
#pragma once

#include <string>
#include <vector>

#include "engine/plan.hpp"

namespace fathom {

struct PlaceProblem {
  std::vector<std::string> ids;
  std::vector<Lifetime> buffers;  // times numbered anew, in their order
};

// Throws Error{usage} that names the file, the line and what is wrong with it.
PlaceProblem read_place_problem(const std::string& path);

// Throws Error{memory} naming two buffers that overlap in time and place, or one that does not lie in the arena.
void check_placement(const PlaceProblem& problem, const Placement& placement);

// The problem with a column `offset`, as other tools write it.
std::string to_csv(const PlaceProblem& problem, const Placement& placement);

}  // namespace fathom
