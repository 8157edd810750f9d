#include "bench/batches.hpp"

#include "bench/workload.hpp"
#include "fathom/error.hpp"
#include "tests/catch.hpp"

using namespace fathom;

TEST_CASE("batches are listed, and max stands for the largest", "[bench]") {
  CHECK(parse_batches("1,2,16") == std::vector<int>{1, 2, 16});
  CHECK(parse_batches("max") == std::vector<int>{largest_that_fits});
  CHECK(parse_batches("8,max,1") == std::vector<int>{8, largest_that_fits, 1});
  for (const char* text : {"", ",", "1,", "0", "-1", "1.5", "1,x", "maxi", "max,", "65537", "99999999999"})
    CHECK_THROWS_AS(parse_batches(text), Error);
}

TEST_CASE("the largest batch fits, the next one does not, and few are asked about", "[bench]") {
  struct Case {
    std::int64_t limit, fixed, each;
    int asked;
  };
  for (const Case& c : {Case{1'000'000, 1000, 10, 5},
                        {1000, 1000, 10, 1},
                        {1009, 1000, 10, 1},
                        {1010, 1000, 10, 4},
                        {1 << 30, 0, 1, 3},
                        {1 << 30, 5, 0, 4}}) {
    int asked = 0;
    const auto bytes_of = [&](int batch) { return ++asked, c.fixed + c.each * batch; };
    const int largest = largest_batch(c.limit, bytes_of);
    INFO(c.limit << " " << c.fixed << " " << c.each << ": " << largest << " after " << asked);
    CHECK(asked <= c.asked);
    CHECK((largest == 0 || c.fixed + c.each * largest <= c.limit));
    CHECK((largest == most_images || c.fixed + c.each * (largest + 1) > c.limit));
  }
  // Not a straight line: sums rounded up to pages.
  const auto rounded = [](int batch) { return (batch * std::int64_t{777} + 4095) / 4096 * 4096; };
  const int largest = largest_batch(1'000'000, rounded);
  CHECK((rounded(largest) <= 1'000'000 && rounded(largest + 1) > 1'000'000));
}

TEST_CASE("a network's largest batch is what its plan says", "[bench]") {
  const Engine engine = Engine::synthetic("mobile_baseline_1", {.input_width = 64, .input_height = 64});
  const auto bytes = [&](int batch) {
    const Frame frame{batch, 64, 64};
    const MemoryReport memory = engine.session().memory(frame);
    return memory.weight_bytes + memory.arena_bytes + batch * std::int64_t{64 * 64 * 3 + 64 * 64 * 4};
  };
  const std::int64_t limit = bytes(6) + 100;
  CHECK(largest_batch_of(engine, limit) == 6);
  CHECK(bytes(7) > limit);
  CHECK(largest_batch_of(engine, 1000) == 0);
}

TEST_CASE("the system tells how much memory is free", "[bench]") {
  CHECK(free_memory_bytes() > std::int64_t(512) << 20);  // in KiB it would be less
}
