// Shapes that no network has, for kernels that the tables do not reach: together they launch every kernel of the
// module.
#include "tests/kernels/cuda/check_cuda.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

Desc map(std::int64_t c, std::int64_t h, std::int64_t w) { return Desc::nhwc(1, c, h, w); }

}  // namespace

TEST_CASE("cuda: inverted residual blocks of every kernel, stride and width of projection", "[cuda]") {
  const Activation relu6{ActivationKind::relu6}, swish{ActivationKind::hard_swish};
  for (const int k : {3, 5})
    for (const int stride : {1, 2})
      for (const std::int64_t out : {0, 24, 48, 72}) {
        const InvertedResidual op{.stride = stride,
                                  .padding = k / 2,
                                  .project = out > 0,
                                  .expand_activation = swish,
                                  .depth_activation = relu6};
        const std::int64_t wide = 40, narrow = 16;
        std::vector<Desc> in{map(narrow, 9, 11), Desc::dense({wide, narrow, 1, 1}), Desc::dense({wide}),
                             Desc::dense({wide, 1, k, k}), Desc::dense({wide})};
        if (out) in.insert(in.end(), {Desc::dense({out, wide, 1, 1}), Desc::dense({out})});
        const Step step = expect_reference(Case{"rare/block", op, in}, Precision::fp16);
        INFO(step.kernel);
        CHECK((step.kernel.empty() || step.launches == 1));
      }
}

TEST_CASE("cuda: depthwise convolutions of sources that no vector divides", "[cuda]") {
  for (const Precision precision : precisions)
    for (const int k : {1, 3, 5})
      for (const int stride : {1, 2}) {
        if (k == 1 && stride == 2) continue;
        const Conv2d op{
            .stride = stride, .padding = k / 2, .groups = 16, .bias = true, .sources = {Source{}, Source{}}};
        const Case c = conv_case("rare/depthwise", op, {map(5, 9, 11), map(11, 9, 11)}, 16, k);
        const Step step = expect_reference(c, precision);
        INFO(step.kernel);
        CHECK((step.kernel.empty() || step.kernel.starts_with("depthwise")));
      }
}

TEST_CASE("cuda: grouped convolutions of few and many channels in a group", "[cuda]") {
  for (const Precision precision : precisions)
    for (const int stride : {1, 2})
      for (const int in_group : {2, 4, 8, 16, 32})
        for (const int groups : {2, 3}) {
          const Conv2d op{.stride = stride, .padding = 1, .groups = groups, .bias = true};
          const int channels = groups * in_group;
          expect_reference(conv_case("rare/grouped", op, {map(channels, 9, 11)}, channels, 3), precision);
        }
  for (const int out_group : {8, 16}) {  // narrower than what each group reads
    const Step step = expect_reference(
        conv_case("rare/grouped", Conv2d{.groups = 8, .bias = true}, {map(256, 9, 11)}, 8 * out_group, 1),
        Precision::fp16);
    INFO(step.kernel << (step.refused.empty() ? "" : ", refused: " + step.refused.back()));
    if (out_group == 16) CHECK((step.kernel.empty() || step.kernel.find("32 deep") != std::string::npos));
  }
}
