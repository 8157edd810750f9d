#include "bench/place.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <sstream>

#include "fathom/error.hpp"

namespace fathom {

namespace {

std::vector<std::string> cells(std::string line) {
  if (!line.empty() && line.back() == '\r') line.pop_back();
  std::vector<std::string> list;
  std::stringstream stream(line);
  for (std::string cell; std::getline(stream, cell, ',');) list.push_back(cell);
  return list;
}

}  // namespace

PlaceProblem read_place_problem(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Error(ErrorKind::usage, path + ": cannot be read");
  std::string line;
  int number = 1;
  const auto wrong = [&](const std::string& what) {
    throw Error(ErrorKind::usage, path + ", line " + std::to_string(number) + ": " + what);
  };
  std::getline(file, line);
  const std::vector<std::string> header = cells(line);
  const auto column = [&](const char* name) {
    const auto found = std::find(header.begin(), header.end(), name);
    if (found == header.end())
      wrong("the header has no column '" + std::string(name) + "'; a problem has id,lower,upper,size");
    return static_cast<std::size_t>(found - header.begin());
  };
  const std::size_t id = column("id"), lower = column("lower"), upper = column("upper"), size = column("size");

  struct Row {
    std::int64_t lower, upper, size;
  };
  std::vector<Row> rows;
  PlaceProblem problem;
  for (++number; std::getline(file, line); ++number) {
    if (line.empty() || line == "\r") continue;
    const std::vector<std::string> row = cells(line);
    if (row.size() != header.size())
      wrong(std::to_string(row.size()) + " cells, the header has " + std::to_string(header.size()));
    const auto whole = [&](std::size_t k) {
      std::int64_t value = 0;
      const char* end = row[k].data() + row[k].size();
      const auto [stop, error] = std::from_chars(row[k].data(), end, value);
      if (error != std::errc() || stop != end)
        wrong("'" + row[k] + "' in column '" + header[k] + "' is not a whole number");
      return value;
    };
    rows.push_back({whole(lower), whole(upper), whole(size)});
    problem.ids.push_back(row[id]);
    if (rows.back().upper <= rows.back().lower) wrong("the buffer '" + row[id] + "' ends before it begins");
    if (rows.back().size < 0) wrong("the buffer '" + row[id] + "' has a negative size");
  }
  std::map<std::int64_t, int> step;  // of every time at which something begins or ends
  for (const Row& r : rows) step[r.lower], step[r.upper];
  int next = 0;
  for (auto& [time, k] : step) k = next++;
  for (const Row& r : rows) problem.buffers.push_back({step[r.lower], step[r.upper] - 1, r.size});
  return problem;
}

void check_placement(const PlaceProblem& problem, const Placement& placement) {
  for (std::size_t a = 0; a < problem.buffers.size(); ++a) {
    const Lifetime& x = problem.buffers[a];
    const std::int64_t begin = placement.offset[a], end = begin + x.bytes;
    if (begin < 0 || end > placement.arena_bytes)
      throw Error(ErrorKind::memory, "the buffer '" + problem.ids[a] + "' lies outside the arena");
    for (std::size_t b = 0; b < a; ++b) {
      const Lifetime& y = problem.buffers[b];
      const bool together = x.first <= y.last && y.first <= x.last;
      if (together && begin < placement.offset[b] + y.bytes && placement.offset[b] < end)
        throw Error(ErrorKind::memory, "the buffers '" + problem.ids[a] + "' and '" + problem.ids[b] + "' overlap");
    }
  }
}

std::string to_csv(const PlaceProblem& problem, const Placement& placement) {
  std::string text = "id,lower,upper,size,offset\n";
  for (std::size_t k = 0; k < problem.buffers.size(); ++k) {
    const Lifetime& b = problem.buffers[k];
    text += problem.ids[k] + "," + std::to_string(b.first) + "," + std::to_string(b.last + 1) + "," +
            std::to_string(b.bytes) + "," + std::to_string(placement.offset[k]) + "\n";
  }
  return text;
}

}  // namespace fathom
