// Placement problems from files, and how the planner does where all of the arena is needed all of the time.
#include "bench/place.hpp"

#include <algorithm>
#include <cstdlib>
#include <random>

#include "engine/place_climb.hpp"
#include "engine/place_search.hpp"
#include "fathom/error.hpp"
#include "tests/catch.hpp"
#include "tests/folder.hpp"

using namespace fathom;

namespace {

PlaceProblem read(const std::string& text) {
  const Folder folder("place");
  put(folder / "problem.csv", text);
  return read_place_problem((folder / "problem.csv").string());
}

std::string refusal(const std::string& text) {
  try {
    read(text);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

// A rectangle of time and memory, cut into buffers again and again: they fill it without a gap.
std::string packed_problem(int buffers, unsigned seed) {
  struct Rectangle {
    int lower, upper, bottom, top;
  };
  std::vector<Rectangle> pieces{{0, 1000, 0, 1 << 20}};
  std::mt19937 random(seed);
  while (static_cast<int>(pieces.size()) < buffers) {
    Rectangle& r = pieces[random() % pieces.size()];
    const bool in_time = random() % 2;
    const int low = in_time ? r.lower : r.bottom, high = in_time ? r.upper : r.top;
    if (high - low < 2) continue;
    const int cut = low + 1 + static_cast<int>(random() % static_cast<unsigned>(high - low - 1));
    Rectangle other = r;
    (in_time ? r.upper : r.top) = cut, (in_time ? other.lower : other.bottom) = cut;
    pieces.push_back(other);
  }
  std::shuffle(pieces.begin(), pieces.end(), random);
  std::string text = "id,lower,upper,size\n";
  for (std::size_t k = 0; k < pieces.size(); ++k)
    text += "b" + std::to_string(k) + "," + std::to_string(pieces[k].lower) + "," + std::to_string(pieces[k].upper) +
            "," + std::to_string(pieces[k].top - pieces[k].bottom) + "\n";
  return text;
}

}  // namespace

TEST_CASE("a placement problem is read from CSV, columns in any order", "[bench]") {
  const PlaceProblem p = read("size,id,upper,lower\r\n8,a,20,-5\r\n4,b,30,20\r\n\r\n");
  REQUIRE(p.buffers.size() == 2);
  CHECK(p.ids == std::vector<std::string>{"a", "b"});
  CHECK((p.buffers[0].first == 0 && p.buffers[0].last == 0 && p.buffers[0].bytes == 8));
  CHECK((p.buffers[1].first == 1 && p.buffers[1].last == 1 && p.buffers[1].bytes == 4));
  const Placement placed = place(p.buffers, {.alignment = 1});
  CHECK(placed.arena_bytes == 8);
  CHECK_NOTHROW(check_placement(p, placed));
  CHECK(to_csv(p, placed).starts_with("id,lower,upper,size,offset\na,0,1,8,0\n"));
}

TEST_CASE("what is wrong with a placement problem is named by line", "[bench]") {
  CHECK(refusal("id,lower,size\n").find("no column 'upper'") != std::string::npos);
  CHECK(refusal("id,lower,upper,size\na,0,1\n").find("line 2: 3 cells") != std::string::npos);
  CHECK(refusal("id,lower,upper,size\na,0,1,5\nb,0,x,5\n").find("line 3: 'x' in column 'upper'") != std::string::npos);
  CHECK(refusal("id,lower,upper,size\na,4,4,5\n").find("ends before it begins") != std::string::npos);
  CHECK(refusal("id,lower,upper,size\na,0,4,-5\n").find("negative size") != std::string::npos);
  CHECK_THROWS_AS(read_place_problem("/nowhere.csv"), Error);
}

TEST_CASE("overlapping placements are found", "[bench]") {
  const PlaceProblem p = read("id,lower,upper,size\na,0,2,4\nb,1,3,4\n");
  CHECK_THROWS_AS(check_placement(p, {.offset = {0, 3}, .arena_bytes = 8}), Error);
  CHECK_THROWS_AS(check_placement(p, {.offset = {0, 5}, .arena_bytes = 8}), Error);
  CHECK_NOTHROW(check_placement(p, {.offset = {0, 4}, .arena_bytes = 8}));
}

TEST_CASE("packings without a gap are found again", "[bench]") {
  for (unsigned seed = 0; seed < 8; ++seed) {
    const PlaceProblem p = read(packed_problem(30, seed));
    const Placement placed = place(p.buffers, {.alignment = 1});
    INFO("seed " << seed << ": " << placed.arena_bytes);
    CHECK_NOTHROW(check_placement(p, placed));
    CHECK(placed.arena_bytes == 1 << 20);
    CHECK(placed.optimal);
  }
}

TEST_CASE("climbing finds packings that the search in fixed orders does not", "[bench]") {
  const PlaceProblem p = read(packed_problem(150, 36));
  const Sections sections(p.buffers);
  PlaceSearch search(sections);
  Effort effort{.nodes = 1 << 20};
  const std::int64_t bound = 1 << 20;
  for (const Strategy& strategy : strategies)
    CHECK(search.run(bound, strategy, 600, effort) == PlaceSearch::End::gave_up);
  PlaceClimb climb(search, p.buffers.size());
  std::int64_t arena = 4 * bound, steps = 0;
  for (; arena > bound && steps < 400; ++steps)
    if (climb.step(bound, arena, effort) == PlaceSearch::End::found) {
      Placement placed{.offset = search.offset()};
      for (std::size_t k = 0; k < p.buffers.size(); ++k)
        placed.arena_bytes = std::max(placed.arena_bytes, placed.offset[k] + p.buffers[k].bytes);
      CHECK_NOTHROW(check_placement(p, placed));
      REQUIRE(placed.arena_bytes < arena);
      arena = placed.arena_bytes;
    }
  INFO(steps << " steps");
  CHECK(arena == bound);
}

TEST_CASE("climbing takes the same steps every time", "[bench]") {
  const PlaceProblem p = read(packed_problem(60, 3));
  std::vector<std::vector<std::int64_t>> offsets;
  for (int run = 0; run < 2; ++run) {
    const Sections sections(p.buffers);
    PlaceSearch search(sections);
    PlaceClimb climb(search, p.buffers.size());
    Effort effort{.nodes = 1 << 20};
    for (int step = 0; step < 8; ++step) climb.step(1 << 20, 3 << 20, effort);
    offsets.push_back(search.offset());
  }
  CHECK(offsets[0] == offsets[1]);
}

TEST_CASE("packed problems for fathom_bench place", "[.packed_problems]") {
  const char* folder = std::getenv("FATHOM_PACKED");  // where to put them
  if (!folder) return;
  for (int buffers : {50, 100, 150, 200, 300, 450})
    for (unsigned seed = 0; seed < 3; ++seed)
      put(std::string(folder) + "/packed_" + std::to_string(buffers) + "_" + std::to_string(seed) + ".csv",
          packed_problem(buffers, seed));
}
