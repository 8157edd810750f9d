// Single operations as problems to be timed: the tests' case tables, and the distinct convolutions of the networks.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/backend.hpp"

namespace fathom {

struct OpProblem {
  std::string name;  // "conv2d/stride_2" of the tables; "mobile_baseline_1/ ..." of the first network that has it
  Op op;
  std::vector<Desc> in;  // data, then parameters, as the backend stores them
  Desc out;
  int count = 1;  // how often the networks have it
  std::vector<std::string> networks;
};

// The cases that drive the tests, stored as the backend wants maps; those only that it can run.
std::vector<OpProblem> table_problems(Backend& backend);

// The convolutions of these networks at their own sizes, after the passes that the backend wants: each distinct one
// once, the one with most multiply-adds in all first.
std::vector<OpProblem> convolution_problems(Backend& backend, const std::vector<std::string>& networks, int batch);

double multiply_adds(const OpProblem& problem);
// "(1, 64, 48, 160) (64, 64, 3, 3) Conv2d padding 1 activation relu"
std::string to_text(const OpProblem& problem);

// The libraries that may have such an operation, as their kernels' names begin: cuDNN every convolution, cuBLASLt those
// that are a product of matrices.
std::vector<std::string> libraries_for(const OpProblem& problem);

// One operation with memory to run in, filled with numbers in [-1, 1).
class OpRun {
 public:
  // `library`: not by the backend's own kernel but by the likeliest of this library. Throws Error{unsupported} where
  // there is none.
  OpRun(const OpProblem& problem, Backend& backend, const std::string& library = "");
  const Step& step() const { return step_; }
  double milliseconds();  // of one run, by the device's clock
  std::vector<std::byte> output();

 private:
  std::shared_ptr<std::byte> put(const Desc& desc, std::uint64_t seed);

  Backend& backend_;
  std::unique_ptr<Queue> queue_;
  Step step_;
  Desc out_;
  std::vector<std::shared_ptr<std::byte>> memory_;
  std::vector<void*> addresses_;
  RunArgs args_{};
};

}  // namespace fathom
