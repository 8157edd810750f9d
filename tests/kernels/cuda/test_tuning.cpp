// Kernels chosen by timing: the file of choices, and steps that are built by it.
#include <fstream>
#include <iterator>

#include "engine/cuda/tuning.hpp"
#include "tests/engine/temporary.hpp"
#include "tests/kernels/cuda/check_cuda.hpp"

namespace fathom::test {

namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

bool any(const std::string&) { return true; }
TimedChoice never() {
  FAIL_CHECK("measured, though it was recorded");
  return {};
}

// The kernel that a case is run by with such a file, its results held against the reference.
std::string kernel_by(const Case& c, Precision precision, const std::string& path, std::string* warning = nullptr) {
  const auto tuning = std::make_shared<Tuning>(path, "this GPU");
  CudaBackend cuda(GpuInfo::current(), precision, Constants::packed, tuning);
  const bool halves = precision == Precision::fp16;
  ReferenceBackend reference;
  const auto values = halves ? rounded(values_of(c)) : values_of(c);
  const std::vector<float> wanted = run_op(c, values, reference).values;
  Desc out = infer(c.op, c.in);
  const Case stored = halves ? in_halves(c, out) : c;
  const RunResult got = run_op(stored, values, cuda, {}, DeviceMemory(), &out);
  INFO(c.name << ", " << got.step.kernel);
  CHECK(compare(got.values, wanted).within(halves ? 2e-3 : 1e-5));
  if (warning) *warning = tuning->warning();
  return got.step.kernel;
}

// Prepares by the library's first kernel.
struct ByLibrary {
  CudaBackend& cuda;
};
template <class O>
Step prepare(const O& op, const NodeIo& io, ByLibrary& backend) {
  if constexpr (std::is_same_v<O, Conv2d>) {
    const std::vector<Step> steps = library_steps(op, io, backend.cuda);
    if (!steps.empty()) return steps.front();
  }
  throw Error(ErrorKind::unsupported, "no library has it");
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
       {whole.substr(0, whole.size() - 2), whole + "GPU\tc\n", whole + "GPU\tc\tthird\tnan\n", whole + "\n"}) {
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

#ifdef FATHOM_STAND_IN  // on the emulator: it works in the host's memory
TEST_CASE("cuda: convolutions that a library knows are run by it as by ours", "[cuda]") {
  setenv("FATHOM_LIBRARY_MODULE", FATHOM_STAND_IN, 1);
  const auto parameters = [](std::vector<Desc> maps, std::vector<std::int64_t> weight, bool bias) {
    maps.push_back(Desc::dense({weight[0], weight[1], weight[2], weight[3]}));
    if (bias) maps.push_back(Desc::dense({weight[0]}));
    return maps;
  };
  const auto map = [](auto... extent) { return Desc::nhwc(extent...); };
  const Activation relu{ActivationKind::relu};
  const std::vector<Case> table = {
      {"library/3x3", Conv2d{.padding = {1, 2, 0, 1}, .bias = true, .activation = relu},
       parameters({map(2, 16, 7, 9)}, {24, 16, 3, 3}, true)},
      {"library/1x1_residual", Conv2d{.bias = true, .residual = true, .activation = relu},
       parameters({map(2, 24, 5, 6), map(2, 16, 5, 6)}, {16, 24, 1, 1}, true)},
      {"library/stride_2_dilated", Conv2d{.stride = {2, 1}, .padding = 2, .dilation = {1, 2}},
       parameters({map(1, 8, 11, 12)}, {8, 8, 5, 3}, false)},
      {"library/groups", Conv2d{.padding = 1, .groups = 4}, parameters({map(1, 32, 6, 5)}, {64, 8, 3, 3}, false)},
  };
  for (const Precision precision : precisions)
    for (const Case& c : table) {
      CudaBackend cuda(GpuInfo::current(), precision);
      const bool halves = precision == Precision::fp16;
      ReferenceBackend reference;
      const auto values = halves ? rounded(values_of(c)) : values_of(c);
      const std::vector<float> wanted = run_op(c, values, reference).values;
      Desc out = infer(c.op, c.in);
      const Case stored = halves ? in_halves(c, out) : c;
      ByLibrary backend{cuda};
      const RunResult got = run_op(stored, values, backend, {}, DeviceMemory(), &out);
      INFO(c.name << ", " << got.step.kernel);
      CHECK(got.step.kernel == "stand-in: loops");
      CHECK(compare(got.values, wanted).within(halves ? 2e-3 : 1e-5));
    }
  // What it does not know is not given to it, and where it is timed it is a choice like others.
  CudaBackend cuda(GpuInfo::current(), Precision::fp32);
  ByLibrary backend{cuda};
  const Case elu{"library/elu", Conv2d{.activation = {ActivationKind::elu}},
                 parameters({map(1, 8, 4, 4)}, {8, 8, 1, 1}, false)};
  CHECK_THROWS_AS(run_op(elu, values_of(elu), backend, {}, DeviceMemory()), Error);
  const TemporaryFolder folder;
  const std::string path = folder / "choices.txt";
  kernel_by(table[0], Precision::fp32, path);
  std::string text = contents(path);
  const std::size_t choice = text.find("\tgemm: ") + 1;
  if (choice > 0) text.replace(choice, text.find('\t', choice) - choice, "stand-in: loops");
  write(path, text);
  CHECK(kernel_by(table[0], Precision::fp32, path) == "stand-in: loops");
  unsetenv("FATHOM_LIBRARY_MODULE");
}
#endif

}  // namespace fathom::test
