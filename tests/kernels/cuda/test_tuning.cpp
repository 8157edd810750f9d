// Kernels chosen by timing: the file of choices, and steps that are built by it.
#include <fstream>
#include <iterator>
#include <set>

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

// A case as a precision stores it, to be held against the reference.
struct HeldCase {
  std::string name;
  bool halves;
  std::vector<std::vector<float>> values;
  std::vector<float> wanted;
  Desc out;
  Case stored;

  HeldCase(const Case& c, Precision precision)
      : name(c.name),
        halves(precision == Precision::fp16),
        values(halves ? rounded(values_of(c)) : values_of(c)),
        out(infer(c.op, c.in)),
        stored(halves ? in_halves(c, out) : c) {
    ReferenceBackend reference;
    wanted = run_op(c, values, reference).values;
  }
  // Run by a backend: the name of its kernel.
  template <class B>
  std::string kernel(B& backend) const {
    const RunResult got = run_op(stored, values, backend, {}, DeviceMemory(), &out);
    INFO(name << ", " << got.step.kernel);
    CHECK(compare(got.values, wanted).within(halves ? 2e-3 : 1e-5));
    return got.step.kernel;
  }
};

// The kernel that a case is run by with such a file, its results held against the reference.
std::string kernel_by(const Case& c, Precision precision, const std::string& path, std::string* warning = nullptr) {
  const auto tuning = std::make_shared<Tuning>(path, "this GPU");
  CudaBackend cuda(GpuInfo::current(), precision, Constants::packed, tuning);
  const std::string kernel = HeldCase(c, precision).kernel(cuda);
  if (warning) *warning = tuning->warning();
  return kernel;
}

// Prepares by one of the library's kernels.
struct ByLibrary {
  CudaBackend& cuda;
  std::size_t which = 0;
};
template <class O>
Step prepare(const O& op, const NodeIo& io, ByLibrary& backend) {
  if constexpr (std::is_same_v<O, Conv2d>) {
    const std::vector<Step> steps = library_steps(op, io, backend.cuda);
    if (backend.which < steps.size()) return steps[backend.which];
  }
  throw Error(ErrorKind::unsupported, "no library has it");
}

Case case_of(const std::string& name, const Conv2d& op, std::vector<Desc> in, Desc weight) {
  in.push_back(weight);
  if (op.bias) in.push_back(Desc::dense({weight.extent[0]}));
  return {"library/" + name, op, std::move(in)};
}

std::vector<Case> library_table() {
  const auto map = [](auto... extent) { return Desc::nhwc(extent...); };
  const auto weight = [](auto... extent) { return Desc::dense({extent...}); };
  const Activation relu{ActivationKind::relu};
  const Conv2d branch{.bias = true, .residual = true, .activation = relu};
  const Conv2d dilated{.stride = {2, 1}, .padding = 2, .dilation = {1, 2}};
  return {
      case_of("3x3", {.padding = {1, 2, 0, 1}, .bias = true, .activation = relu}, {map(2, 16, 7, 9)},
              weight(24, 16, 3, 3)),
      case_of("1x1_residual", branch, {map(2, 24, 5, 6), map(2, 16, 5, 6)}, weight(16, 24, 1, 1)),
      case_of("stride_2_dilated", dilated, {map(1, 8, 11, 12)}, weight(8, 8, 5, 3)),
      case_of("groups", {.padding = 1, .groups = 4}, {map(1, 32, 6, 5)}, weight(64, 8, 3, 3)),
  };
}

// A case by every kernel that the library has for it, held against the reference: their names.
std::vector<std::string> kernels_by_library(const Case& c, Precision precision) {
  const HeldCase held(c, precision);
  CudaBackend cuda(GpuInfo::current(), precision);
  std::vector<std::string> names;
  for (ByLibrary backend{cuda};; ++backend.which) {
    try {
      names.push_back(held.kernel(backend));
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::unsupported) throw;
      return names;
    }
  }
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

TEST_CASE("cuda: what a library runs equals the reference", "[cuda]") {
#ifdef FATHOM_STAND_IN  // on the emulator, in the host's memory
  setenv("FATHOM_LIBRARY_MODULE", FATHOM_STAND_IN, 1);
#endif
  std::set<std::string> seen;
  for (const Precision precision : precisions)
    for (const Case& c : library_table())
      for (const std::string& name : kernels_by_library(c, precision)) seen.insert(name);
  if (seen.empty()) std::printf("skipped: no cuDNN beside the kernels\n");
#ifdef FATHOM_STAND_IN
  CHECK(seen == std::set<std::string>{"stand-in: loops"});
  // What it does not know is not given to it, and where kernels are timed it is a choice like others.
  const Conv2d elu{.activation = {ActivationKind::elu}};
  CHECK(kernels_by_library(case_of("elu", elu, {Desc::nhwc(1, 8, 4, 4)}, Desc::dense({8, 8, 1, 1})), Precision::fp32)
            .empty());
  const TemporaryFolder folder;
  const std::string path = folder / "choices.txt";
  const Case c = library_table()[0];
  kernel_by(c, Precision::fp32, path);
  std::string text = contents(path);
  if (const std::size_t choice = text.find("\tgemm: ") + 1; choice > 0)
    text.replace(choice, text.find('\t', choice) - choice, "stand-in: loops");
  write(path, text);
  CHECK(kernel_by(c, Precision::fp32, path) == "stand-in: loops");
  unsetenv("FATHOM_LIBRARY_MODULE");
#endif
}

}  // namespace fathom::test
