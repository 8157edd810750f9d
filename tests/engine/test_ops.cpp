// Shape rules, printing, and the numbers of half precision.
#include "engine/graph.hpp"
#include "fathom/error.hpp"
#include "tests/catch.hpp"

using namespace fathom;

TEST_CASE("a shape error names op, node and both shapes", "[engine]") {
  Graph g;
  const Value a = g.add_input("a", Desc::nhwc(1, 8, 12, 20));
  const Value b = g.add_input("b", Desc::nhwc(1, 8, 13, 20));
  try {
    g.add(Concat{}, {a, b}, "join");
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::shape);
    const std::string text = e.what();
    for (const char* part : {"Concat 'join'", "'a' (1, 8, 12, 20)", "'b' (1, 8, 13, 20)"})
      CHECK(text.find(part) != std::string::npos);
  }
}

TEST_CASE("output sizes follow PyTorch", "[engine]") {
  const auto conv = [](int h, int k, int s, int p, int d) {
    Conv2d op{.stride = s, .padding = p, .dilation = d};
    const Desc in[] = {Desc::nhwc(2, 3, h, h), Desc::dense({5, 3, k, k})};
    return op.infer(in).h();
  };
  CHECK(conv(192, 7, 2, 3, 1) == 96);
  CHECK(conv(19, 3, 2, 1, 1) == 10);
  CHECK(conv(10, 3, 1, 18, 18) == 10);
  const Desc x[] = {Desc::nhwc(1, 4, 239, 239)};
  CHECK(Pool{.kernel = 3, .stride = 2, .ceil_mode = true}.infer(x).h() == 119);
  const Desc y[] = {Desc::nhwc(1, 4, 240, 240)};
  CHECK(Pool{.kernel = 3, .stride = 2, .ceil_mode = true}.infer(y).h() == 120);
  const Desc t[] = {Desc::nhwc(1, 4, 10, 16), Desc::dense({4, 6, 3, 3})};
  CHECK(ConvTranspose2d{.stride = 2, .padding = 1, .output_padding = 1}.infer(t).h() == 20);
}

TEST_CASE("ops print the fields that were set", "[engine]") {
  CHECK(to_text(Op(Conv2d{.stride = 2, .padding = 3, .activation = {ActivationKind::relu}})) ==
        "Conv2d stride 2 padding 3 activation kind relu");
  CHECK(to_text(Op(Concat{})) == "Concat");
}

TEST_CASE("half precision rounds to nearest even", "[engine]") {
  for (int bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = half_to_float(half);
    if (value != value) continue;
    REQUIRE(float_to_half(value) == half);
  }
  CHECK(float_to_half(65519.f) == 0x7bff);
  CHECK(float_to_half(65520.f) == 0x7c00);
  CHECK(float_to_half(1.f + 0x1p-11f) == 0x3c00);  // a tie goes to even
  CHECK(float_to_half(1.f + 3 * 0x1p-11f) == 0x3c02);
}
