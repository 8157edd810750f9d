// How the engine comes to a GPU or does without: the module is looked for, checked, and its absence explained.
#include <cstdlib>

#include "fathom/fathom.hpp"
#include "tests/catch.hpp"
#include "tests/engine/temporary.hpp"

using namespace fathom;

namespace {

// FATHOM_CUDA_MODULE until the end of a scope.
class Module {
 public:
  explicit Module(const std::string& path) {
    if (const char* before = std::getenv(name)) before_ = before;
    setenv(name, path.c_str(), 1);
  }
  ~Module() { before_.empty() ? unsetenv(name) : setenv(name, before_.c_str(), 1); }

 private:
  static constexpr const char* name = "FATHOM_CUDA_MODULE";
  std::string before_;
};

Engine load(Device device, Precision precision = Precision::fp32) {
  return Engine::synthetic("mobile_baseline_1", {.device = device, .precision = precision});
}

}  // namespace

TEST_CASE("without a GPU one sentence says why, and `automatic` is the CPU", "[models]") {
  const struct {
    std::string module;
    std::vector<std::string> parts;
  } cases[] = {{"none", {"no GPU", "FATHOM_CUDA_MODULE is 'none'"}},
               {"/nowhere/libfathom_cuda.so", {"no GPU", "cannot be opened", "/nowhere/libfathom_cuda.so"}},
               {FATHOM_NO_MODULE, {"no GPU", "is not Fathom's CUDA module"}},
               {FATHOM_OTHER_MODULE, {"no GPU", "built for another engine", "Fathom 0.0.0, another compiler"}}};
  for (const auto& c : cases) {
    const Module chosen(c.module);
    INFO(c.module);
    CHECK_THROWS_MATCHES(load(Device::cuda), Error, Fails(ErrorKind::device, c.parts));
    const Engine engine = load(Device::automatic);
    CHECK(engine.device().starts_with("CPU"));
    CHECK_THAT(engine.why_not_gpu(), says(c.parts[1]));
    CHECK(load(Device::cpu).why_not_gpu().empty());
    // Nothing is rounded to halves behind the caller's back, and nothing kept from him that he asked for.
    CHECK_THROWS_MATCHES(load(Device::automatic, Precision::fp16), Error,
                         Fails(ErrorKind::unsupported, {"fp16", c.parts[1]}));
  }
}
