#include "engine/image.hpp"

#include <cmath>

#include "engine/depth_map.hpp"
#include "fathom/error.hpp"
#include "models/architectures.hpp"
#include "tests/catch.hpp"

using namespace fathom;

namespace {

Image noise(int width, int height) {
  Image image(width, height);
  std::uint32_t state = 1;
  for (auto& v : image.rgb) state = state * 1664525u + 1013904223u, v = static_cast<std::uint8_t>(state >> 24);
  return image;
}

}  // namespace

TEST_CASE("a crop is cut from the centre of both sides, the odd pixel from the far ones", "[engine]") {
  Image photo(11, 6);
  for (int y = 0; y < 6; ++y)
    for (int x = 0; x < 11; ++x) {
      std::uint8_t* const pixel = photo.row(y) + 3 * x;
      pixel[0] = static_cast<std::uint8_t>(x), pixel[1] = static_cast<std::uint8_t>(y), pixel[2] = 7;
    }
  const Image crop = centre_crop(photo, 4, 3);  // 7 columns and 3 rows less
  REQUIRE((crop.width == 4 && crop.height == 3));
  for (int y = 0; y < 3; ++y)
    for (int x = 0; x < 4; ++x) {
      const std::uint8_t* const pixel = crop.row(y) + 3 * x;
      CHECK((pixel[0] == 3 + x && pixel[1] == 1 + y && pixel[2] == 7));
    }
}

TEST_CASE("photographs become inputs by the model file's size, filter and crop", "[engine]") {
  const Image photo = noise(50, 40);
  const Image whole = preprocess(photo, {.input_width = 32, .input_height = 16});
  CHECK(whole == resize_antialiased(photo, 32, 16, Filter::lanczos));
  CHECK(preprocess(photo, {.input_width = 32, .input_height = 16, .resize = PhotoResize::bilinear}) ==
        resize_antialiased(photo, 32, 16, Filter::bilinear));
  CHECK(preprocess(photo, {.resize = PhotoResize::none}) == photo);
  CHECK(preprocess(photo, {.resize = PhotoResize::none, .crop_width = 20, .crop_height = 10}) ==
        centre_crop(photo, 20, 10));
  const ModelConfig cropped{.input_width = 32, .input_height = 16, .crop_width = 30, .crop_height = 12};
  CHECK(preprocess(photo, cropped) == centre_crop(whole, 30, 12));
  CHECK(network_size(cropped, {50, 40}) == PixelSize{30, 12});
  CHECK(resized_size(cropped, {50, 40}) == PixelSize{32, 16});
  CHECK_THROWS_AS(preprocess(photo, {.input_width = 32, .input_height = 16, .crop_width = 33}), Error);
}

TEST_CASE("disparities are resized before they are inverted, depths are scaled", "[engine]") {
  // Between the disparities 0 and 1 lies 0.5: depth 1 / (0.01 + 9.99 / 2), not the mean of 100 and 0.1.
  const std::vector<float> disparity = {0, 1};
  const ModelConfig config{};
  const DepthMap map = postprocess({disparity.data(), 2, 1}, config, {3, 2});
  REQUIRE((map.width == 3 && map.height == 2 && map.unit == "relative"));
  CHECK(map.at(0, 0) == Approx(100));
  CHECK(map.at(1, 1) == Approx(1 / 5.005));
  CHECK(map.at(2, 1) == Approx(0.1));
  CHECK(inverse_depth(map)[2] == Approx(10));
  CHECK(postprocess({disparity.data(), 2, 1}, {.unit = "m", .scale = 5.4f}, {2, 1}).at(0, 0) == Approx(540));

  const std::vector<float> centimetres = {100, 300};
  const DepthMap metres =
      postprocess({centimetres.data(), 2, 1}, {.output = OutputKind::depth, .unit = "m", .scale = 0.01f}, {3, 1});
  CHECK(metres.unit == "m");
  CHECK(metres.at(0, 0) == Approx(1));
  CHECK(metres.at(1, 0) == Approx(2));
  CHECK(metres.at(2, 0) == Approx(3));

  // RefineNet: a depth's sign means nothing, and goes after resizing: between -1 and 1 lies 0.
  const std::vector<float> either = {-1, 1};
  ModelConfig refinenet = find_architecture("refinenet_mobilenetv2").config;
  CHECK(postprocess({either.data(), 2, 1}, refinenet, {3, 1}).depth == std::vector<float>{1, 0, 1});
  refinenet.absolute = false;
  CHECK(postprocess({either.data(), 2, 1}, refinenet, {3, 1}).depth == std::vector<float>{-1, 0, 1});

  CHECK_THROWS_AS(postprocess({centimetres.data(), 2, 1}, {.output = OutputKind::segmentation}, {3, 1}), Error);
}

TEST_CASE("what a cropped network saw comes back to its place in the photograph", "[engine]") {
  // A photograph of 640x480 resized to 320x240 and cropped to 304x228: the network's column i is centred at 2 (i + 8)
  // + 1.
  const ModelConfig config{
      .input_width = 320, .input_height = 240, .crop_width = 304, .crop_height = 228, .output = OutputKind::depth};
  std::vector<float> output(152 * 114);  // at half the size of the input
  for (int y = 0; y < 114; ++y)
    for (int x = 0; x < 152; ++x) output[152 * y + x] = static_cast<float>(1000 * y + x);
  const DepthMap map = postprocess({output.data(), 152, 114}, config, {640, 480});
  const auto seen = [](double photo, double origin, int last) {
    return std::clamp((photo + 0.5 - origin) / 4 - 0.5, 0.0, static_cast<double>(last));
  };
  for (const auto& [x, y] : {std::pair{0, 0}, {16, 12}, {18, 14}, {320, 240}, {623, 467}, {639, 479}})
    CHECK(map.at(x, y) == Approx(1000 * seen(y, 12, 113) + seen(x, 16, 151)).margin(1e-2));
}

TEST_CASE("depths that are no place in space have no inverse", "[engine]") {
  const DepthMap map{4, 1, {2, 0, -1, std::nanf("")}, "m"};
  CHECK(inverse_depth(map) == std::vector<float>{0.5f, 0, 0, 0});
}
