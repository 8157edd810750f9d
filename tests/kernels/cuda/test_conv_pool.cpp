// Which of the shared table's pooled convolutions their kernel takes, in strips of which length; that what it makes is
// right, every case shows (test_cuda.cpp).
#include <map>

#include "tests/kernels/cuda/check_cuda.hpp"

using namespace fathom;
using namespace fathom::test;

TEST_CASE("cuda: convolutions with the pool behind them", "[cuda]") {
  const std::map<std::string, std::string> in_halves = {
      {"resnet", "pooled, 2 passes, 4 deep"},
      {"resnet_batch_3", "pooled, 4 passes, 4 deep"},
      {"densenet", "pooled, 2 passes, 4 deep"},
      {"squeezenet", "pooled, 4 passes, 4 deep"},
      {"two_photographs", "pooled, 1 pass, 8 deep"},
      {"enlarged_source", "pooled, 1 pass, 8 deep"},
      {"three_by_three_to_128", "pooled, 1 pass, 4 deep"},
      {"to_33", "pooled, 1 pass, 8 deep"},
      {"to_5", "in parts"},
      {"elu_stride_1x2", "pooled, 1 pass, 4 deep"},
      {"hard_swish", "in parts"},
      {"pool_of_2", "in parts"},
      {"reflect_map_4x40", "in parts"},
      {"reflect_map_8x40", "pooled, 1 pass, 4 deep"},
      {"map_1x1", "in parts"},
      {"map_1x70", "pooled, 1 pass, 4 deep"},
  };
  std::vector<Case> cases = cases_for<ConvPool>();
  for (const Case& c : fused_cases())
    if (std::holds_alternative<ConvPool>(c.op)) cases.push_back(c);
  CHECK(cases.size() == in_halves.size());
  for (const Case& c : cases)
    for (Precision precision : precisions) {
      const Step step = expect_reference(c, precision, {}, with_multiprocessors(4));
      if (step.kernel.empty()) continue;
      INFO(c.name << " is taken by " << step.kernel << ", refused: " << (step.refused.empty() ? "" : step.refused[0]));
      const std::string wanted = in_halves.at(c.name.substr(c.name.find('/') + 1));
      CHECK(step.kernel.starts_with(precision == Precision::fp16 ? wanted : "in parts"));
      CHECK(step.launches == (step.kernel.starts_with("in parts") ? 2 : 1));
    }
}
