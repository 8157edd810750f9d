// Kernels chosen by timing: the file of choices, and steps that are built by it.
#include "tests/engine/temporary.hpp"
#include "tests/kernels/cuda/held_case.hpp"

namespace fathom::test {

namespace {

bool any(const std::string&) { return true; }
TimedChoice never() {
  FAIL_CHECK("measured, though it was recorded");
  return {};
}

Case small_case() {
  return {"tuned/conv",
          Conv2d{.padding = 1, .residual = true, .activation = {ActivationKind::relu}},
          {Desc::nhwc(1, 24, 5, 9), Desc::nhwc(1, 16, 5, 9), Desc::dense({16, 24, 3, 3})}};
}

}  // namespace

TEST_CASE("cuda: choices that were timed are kept in a file", "[cuda][mixed]") {
  const TemporaryFolder folder;
  const std::string path = folder / "choices.txt";
  {
    Tuning here(path, "one GPU"), there(path, "another GPU");
    CHECK(here.choice("problem 1", any, [] { return TimedChoice{"fast", 1.5}; }).name == "fast");
    CHECK(here.choice("problem 2", any, [] { return TimedChoice{}; }).name.empty());
    CHECK(here.warning().empty());
  }
  Tuning again(path, "one GPU");
  CHECK(again.choice("problem 1", any, never).name == "fast");
  CHECK(again.choice("problem 1", any, never).microseconds == 1.5);
  // Recorded elsewhere: not used, and not lost.
  Tuning elsewhere(path, "another GPU");
  CHECK(elsewhere.choice("problem 1", any, [] { return TimedChoice{"slow", 2}; }).name == "slow");
  CHECK(Tuning(path, "one GPU").choice("problem 1", any, never).name == "fast");
  // A kernel that is no more is timed anew.
  const auto not_fast = [](const std::string& name) { return name != "fast"; };
  CHECK(Tuning(path, "one GPU").choice("problem 1", not_fast, [] { return TimedChoice{"new", 1}; }).name == "new");
  CHECK(Tuning(path, "one GPU").choice("problem 1", any, never).name == "new");
}

TEST_CASE("cuda: a file of choices that is damaged or none is said, and costs nothing but time", "[cuda][mixed]") {
  const TemporaryFolder folder;
  const std::string path = folder / "choices.txt";
  Tuning(path, "GPU").choice("a", any, [] { return TimedChoice{"first", 1}; });
  Tuning(path, "GPU").choice("b", any, [] { return TimedChoice{"second", 2}; });
  const std::string whole = contents(path);
  for (const std::string& damaged :
       {whole.substr(0, whole.size() - 2), whole + "GPU\tc\n", whole + "GPU\tc\tthird\tnan\n", whole + "GPU\tc\tthird\t-1\n", whole + "\n"}) {
    write(path, damaged);
    Tuning tuning(path, "GPU");
    INFO(damaged);
    CHECK(tuning.warning().find("cannot be read") != std::string::npos);
    CHECK(tuning.choice("a", any, never).name == "first");
    CHECK(tuning.choice("c", any, [] { return TimedChoice{"third", 3}; }).name == "third");
    CHECK(Tuning(path, "GPU").warning().empty());  // it has been mended
  }
  write(path, "somebody's own notes\n");
  Tuning other(path, "GPU");
  CHECK(other.warning().find("left as it is") != std::string::npos);
  CHECK(other.choice("a", any, [] { return TimedChoice{"first", 1}; }).name == "first");
  CHECK(other.choice("a", any, never).name == "first");
  CHECK(contents(path) == "somebody's own notes\n");
  CHECK(Tuning(folder / "", "GPU").warning().find("left as it is") != std::string::npos);
  CHECK(Tuning(folder / "no such folder/choices.txt", "GPU").warning().find("cannot be written") != std::string::npos);
}

TEST_CASE("cuda: a convolution that was timed is built the same way from the file, and equals the reference",
          "[cuda]") {
  for (const Precision precision : precisions) {
    const TemporaryFolder folder;
    const std::string path = folder / "choices.txt";
    const std::string first = kernel_by(small_case(), precision, path), file = contents(path);
    CHECK(file.find("\tgemm: ") != std::string::npos);
    CHECK(kernel_by(small_case(), precision, path) == first);
    CHECK(contents(path) == file);  // nothing was timed

    // Whichever plan the file says is built.
    const std::size_t name = file.find("\tgemm: ") + 7, end = file.find('\t', name);
    const std::string other = "128x64 (8x16 pixels), 3x3 taps, 1 plane, 2 stages, split 2";
    std::string changed = file;
    changed.replace(name, end - name, other);
    write(path, changed);
    CHECK(kernel_by(small_case(), precision, path).ends_with(other));

    std::string warning;
    changed.replace(changed.find(other), other.size(), "999x9 of an older Fathom");
    write(path, changed);
    CHECK(kernel_by(small_case(), precision, path, &warning).find("999x9") == std::string::npos);
    CHECK(warning.empty());
    CHECK(contents(path).find("999x9") == std::string::npos);
  }
}

TEST_CASE("cuda: of what was timed only the chosen kernel's weights stay, and those as long as its step", "[cuda]") {
  const TemporaryFolder folder;
  const auto tuning = std::make_shared<Tuning>(folder / "choices.txt", "this GPU");
  CudaBackend cuda(GpuInfo::current(), Precision::fp32, Constants::packed, tuning);
  const auto taken_bytes = [] {
    std::size_t free = 0, total = 0;
    REQUIRE(cudaMemGetInfo(&free, &total) == cudaSuccess);
    return static_cast<std::int64_t>(total - free);
  };
  const std::int64_t before = taken_bytes();
  Step step = run_op(small_case(), values_of(small_case()), cuda, {}, DeviceMemory()).step;
  CHECK(cuda.packed_bytes() >= 16 * 24 * 3 * 3 * 4);
#ifdef FATHOM_EMULATED  // a GPU's driver takes memory in large pieces, and for kernels too
  CHECK(taken_bytes() - before == cuda.packed_bytes());
#endif
  step = {};
  CHECK(cuda.packed_bytes() == 0);
#ifdef FATHOM_EMULATED
  CHECK(taken_bytes() == before);
#else
  (void)before;
#endif
}

}  // namespace fathom::test
