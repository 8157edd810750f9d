// The problems of `fathom_bench ops`: which there are, and that they run.
#include "bench/ops.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "fathom/error.hpp"
#include "tests/catch.hpp"
#include "tests/engine/temporary.hpp"

using namespace fathom;

TEST_CASE("the distinct convolutions of networks are counted", "[bench]") {
  const auto backend = make_cpu_backend(1);
  const auto once = convolution_problems(*backend, {"pose_cnn"}, 1);
  const auto both = convolution_problems(*backend, {"pose_cnn", "hr_depth", "hr_depth_ablation_dense"}, 1);
  const auto count = [](const std::vector<OpProblem>& problems) {
    int sum = 0;
    for (const OpProblem& p : problems) sum += p.count;
    return sum;
  };
  CHECK(count(once) >= 8);  // seven and a head
  CHECK(once.size() <= static_cast<std::size_t>(count(once)));
  CHECK(both.size() < static_cast<std::size_t>(count(both)));  // the encoder is shared
  CHECK(std::any_of(both.begin(), both.end(), [](const OpProblem& p) { return p.networks.size() == 2; }));
  CHECK(std::is_sorted(both.begin(), both.end(), [](const OpProblem& a, const OpProblem& b) {
    return multiply_adds(a) * a.count > multiply_adds(b) * b.count;
  }));
  CHECK(convolution_problems(*backend, {"pose_cnn"}, 3)[0].in[0].n() == 3);
  CHECK_THROWS_AS(convolution_problems(*backend, {"nothing"}, 1), Error);
}

TEST_CASE("an operation is run and timed", "[bench]") {
  const auto backend = make_cpu_backend(1);
  const std::vector<OpProblem> problems = table_problems(*backend);
  CHECK(problems.size() > 200);
  int ran = 0;
  for (const OpProblem& p : problems) {
    if (p.name.find("/stride") == std::string::npos) continue;
    OpRun run(p, *backend);
    const std::vector<std::byte> before = run.output();
    CHECK(run.milliseconds() > 0);
    const std::vector<std::byte> after = run.output();
    INFO(p.name << ", " << to_text(p) << " by " << run.step().kernel);
    CHECK(before != after);
    float first = 0;
    std::memcpy(&first, after.data(), sizeof first);
    CHECK(std::isfinite(first));
    ++ran;
  }
  CHECK(ran > 0);
}

TEST_CASE("libraries are asked for what they may have, and that one is not there is said", "[bench]") {
  const auto backend = make_cpu_backend(1);
  int convolutions = 0, products = 0, others = 0;
  for (const OpProblem& p : table_problems(*backend)) {
    const std::vector<std::string> libraries = libraries_for(p);
    const auto* const conv = std::get_if<Conv2d>(&p.op);
    INFO(p.name << ", " << to_text(p));
    CHECK(libraries.empty() == !conv);
    ++(libraries.size() == 2 ? products : conv ? convolutions : others);
    if (libraries.size() == 2) CHECK(to_text(p).find(", 1, 1) ") != std::string::npos);
    if (conv && convolutions == 1)
      CHECK_THROWS_MATCHES(OpRun(p, *backend, "cudnn"), Error, Fails(ErrorKind::unsupported, {"cudnn is not there"}));
  }
  CHECK((convolutions > 0 && products > 0 && others > 0));
}
