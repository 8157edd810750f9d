#include "bench/rotation.hpp"

#include "tests/catch.hpp"

using namespace fathom;

TEST_CASE("inputs in turns are twice the cache, with a bounded number of buffers", "[bench]") {
  const Rotation one = rotation_of(368'640, 62'914'560);
  CHECK(one.buffers == 342);
  CHECK(one.bytes >= 2 * one.cache_bytes);
  CHECK(one.bytes < 2 * one.cache_bytes + 368'640);
  CHECK(to_text(one) == "rotated past L2 (342 buffers)");
  CHECK(to_text(rotation_of(200'000'000, 62'914'560)) == "rotated past L2 (1 buffer)");  // it empties the cache itself
  const Rotation small = rotation_of(3000, 62'914'560);
  CHECK(small.buffers == 1024);
  CHECK(to_text(small) == "rotated, but all within L2 (1024 buffers)");
  CHECK(rotation_of(3000, 0).buffers == 1);
  CHECK(to_text(rotation_of(3000, 0)) == "warm");
  CHECK(to_text(Rotation{}) == "warm");
}
