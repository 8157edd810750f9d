#include "engine/resample.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "fathom/error.hpp"
#include "tests/catch.hpp"

using namespace fathom;

namespace {

// The pictures of tests/golden/preprocess.safetensors by name: one photograph, and Pillow's resizes of it.
std::map<std::string, Image> golden_pictures() {
  std::ifstream file(FATHOM_SOURCE_DIR "/tests/golden/preprocess.safetensors", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::uint64_t header_bytes = 0;
  REQUIRE(bytes.size() > 8);
  std::memcpy(&header_bytes, bytes.data(), 8);
  std::map<std::string, Image> pictures;
  const auto header = nlohmann::json::parse(bytes.substr(8, header_bytes));
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    Image image(entry["shape"][1], entry["shape"][0]);
    std::memcpy(image.rgb.data(), bytes.data() + 8 + header_bytes + entry["data_offsets"][0].get<std::size_t>(),
                image.rgb.size());
    pictures[name] = image;
  }
  return pictures;
}

Image small_picture() {  // 3x2
  Image image(3, 2);
  image.rgb = {0, 255, 10, 200, 30, 90, 255, 0, 255, 17, 4, 128, 99, 250, 1, 5, 77, 180};
  return image;
}

Image line_picture(int width, int height) {
  Image image(width, height);
  for (std::int64_t i = 0; i < std::int64_t{width} * height; ++i) {
    image.rgb[3 * i] = static_cast<std::uint8_t>(i * 7919 % 256);
    image.rgb[3 * i + 1] = static_cast<std::uint8_t>(i / 3 % 256);
    image.rgb[3 * i + 2] = 255;
  }
  return image;
}

using Rgb = std::vector<std::uint8_t>;

}  // namespace

TEST_CASE("photographs are resized as Pillow does it, to the bit", "[engine]") {
  const auto pictures = golden_pictures();
  REQUIRE(pictures.size() == 5);
  const Image& photo = pictures.at("input.small");
  for (const auto& [name, expected] : pictures) {
    if (name == "input.small") continue;
    const Filter filter = name.find("lanczos") != std::string::npos ? Filter::lanczos : Filter::bilinear;
    INFO(name);
    CHECK(resize_antialiased(photo, expected.width, expected.height, filter) == expected);
  }
}

TEST_CASE("pictures of a few pixels and of thousands of taps, as Pillow resizes them", "[engine]") {
  // Numbers computed with Pillow 9.4.
  const Image small = small_picture();
  CHECK(resize_antialiased(small, 5, 4, Filter::lanczos).rgb ==
        Rgb{0,   255, 0,  61, 198, 10, 218, 0,   106, 255, 0,  227, 255, 0,  255, 1,   196, 40,  59, 165,
            30,  176, 81, 69, 206, 37, 185, 195, 15,  243, 4,  59,  115, 55, 122, 57,  123, 199, 22, 93,
            122, 132, 59, 39, 216, 6,  0,   173, 53,  89,  77, 81,  255, 0,  7,   187, 90,  0,   58, 195});
  CHECK(resize_antialiased(small, 1, 1, Filter::lanczos).rgb == Rgb{100, 105, 106});
  CHECK(resize_antialiased(small, 2, 3, Filter::lanczos).rgb ==
        Rgb{67, 189, 20, 255, 0, 216, 59, 141, 49, 147, 78, 157, 50, 92, 77, 17, 174, 97});
  CHECK(resize_antialiased(small, 5, 4, Filter::bilinear).rgb ==
        Rgb{0,   255, 10, 80, 165, 42, 200, 30,  90, 233, 12, 189, 255, 0,  255, 4,   192, 40,  73, 149,
            51,  175, 85, 68, 186, 46, 169, 193, 19, 236, 13, 67,  99,  58, 118, 68,  124, 195, 23, 91,
            113, 128, 68, 58, 199, 17, 4,   128, 50, 102, 77, 99,  250, 1,  43,  146, 108, 5,   77, 180});
  CHECK(resize_antialiased(small, 1, 1, Filter::bilinear).rgb == Rgb{104, 108, 101});
  CHECK(resize_antialiased(small, 2, 3, Filter::bilinear).rgb ==
        Rgb{75, 171, 40, 234, 11, 193, 62, 134, 60, 137, 77, 153, 48, 96, 80, 40, 142, 113});
  const Image line = line_picture(10000, 1), column = line_picture(1, 10000);
  CHECK(resize_antialiased(line, 2, 1, Filter::lanczos).rgb == Rgb{127, 125, 255, 127, 130, 255});
  CHECK(resize_antialiased(column, 1, 3, Filter::lanczos).rgb == Rgb{127, 124, 255, 128, 128, 255, 127, 130, 255});
  CHECK(resize_antialiased(line, 2, 1, Filter::bilinear).rgb == Rgb{127, 125, 255, 127, 129, 255});
  CHECK(resize_antialiased(column, 1, 3, Filter::bilinear).rgb == Rgb{127, 124, 255, 127, 128, 255, 127, 130, 255});
}

TEST_CASE("resizing to the same size copies, and rows may lie apart or bottom up", "[engine]") {
  const Image small = small_picture();
  CHECK(resize_antialiased(small, 3, 2, Filter::lanczos) == small);
  Rgb apart(2 * 16, 77);
  for (int y = 0; y < 2; ++y) std::memcpy(apart.data() + 16 * y, small.row(y), 9);
  CHECK(resize_antialiased({apart.data(), 3, 2, 16}, 2, 3, Filter::lanczos) ==
        resize_antialiased(small, 2, 3, Filter::lanczos));

  Image flipped(3, 2);
  for (int y = 0; y < 2; ++y) std::memcpy(flipped.row(y), small.row(1 - y), 9);
  CHECK(resize_antialiased({flipped.row(1), 3, 2, -9}, 3, 2, Filter::bilinear) == small);
}

TEST_CASE("threads share the work and change nothing", "[engine]") {
  const Image large = line_picture(1600, 1200);  // enough for several threads
  for (const Filter filter : {Filter::lanczos, Filter::bilinear})
    CHECK(resize_antialiased(large, 640, 192, filter, 4) == resize_antialiased(large, 640, 192, filter, 1));
  const std::vector<float> map = {0, 1, 2, 3, 4, 5};
  CHECK(resize_bilinear({map.data(), 3, 2}, 2000, 1700, 4) == resize_bilinear({map.data(), 3, 2}, 2000, 1700, 1));
}

TEST_CASE("centre crop", "[engine]") {
  Image image(5, 4);
  for (int i = 0; i < 20; ++i) image.rgb[3 * i] = static_cast<std::uint8_t>(i);
  const Image cut = centre_crop(image, 3, 2);
  REQUIRE((cut.width == 3 && cut.height == 2));
  for (int y = 0; y < 2; ++y)
    for (int x = 0; x < 3; ++x) CHECK(cut.row(y)[3 * x] == (y + 1) * 5 + x + 1);
  CHECK(centre_crop(image, 5, 4) == image);
  CHECK_THROWS_AS(centre_crop(image, 6, 4), Error);
}

TEST_CASE("a constant map stays constant and a ramp stays a ramp under bilinear resizing", "[engine]") {
  const std::vector<float> constant(7 * 5, 3.25f);
  for (const auto& [w, h] : {std::pair{1, 1}, {7, 5}, {640, 3}, {2, 1000}})
    for (const float v : resize_bilinear({constant.data(), 7, 5}, w, h)) REQUIRE(v == 3.25f);

  std::vector<float> ramp(8 * 4);
  for (int y = 0; y < 4; ++y)
    for (int x = 0; x < 8; ++x) ramp[8 * y + x] = static_cast<float>(2 * x + 100 * y);
  const auto large = resize_bilinear({ramp.data(), 8, 4}, 24, 20);
  for (int y = 0; y < 20; ++y)
    for (int x = 0; x < 24; ++x) {
      const double at_x = std::clamp((x + 0.5) / 3 - 0.5, 0.0, 7.0), at_y = std::clamp((y + 0.5) / 5 - 0.5, 0.0, 3.0);
      CHECK(large[24 * y + x] == Approx(2 * at_x + 100 * at_y).margin(1e-4));
    }
  // Shrinking takes the neighbours of the centre only.
  const auto few = resize_bilinear({ramp.data(), 8, 4}, 2, 1);
  CHECK(few[0] == Approx(3 + 150));
  CHECK(few[1] == Approx(11 + 150));
}

TEST_CASE("maps are read by their strides, and a window places them in the output", "[engine]") {
  const std::vector<float> two_channels = {1, -1, 2, -1, 3, -1, 4, -1};  // 2x2, every other value
  CHECK(resize_bilinear({two_channels.data(), 2, 2, 4, 2}, 2, 2) == std::vector<float>{1, 2, 3, 4});
  // A 2x1 map over the middle half of eight pixels: its edges go on outside.
  const std::vector<float> map = {0, 1};
  const auto out = resize_bilinear({map.data(), 2, 1}, 8, 1, {2, 0, 4, 1});
  CHECK(out == std::vector<float>{0, 0, 0, 0.25f, 0.75f, 1, 1, 1});
}

TEST_CASE("impossible pictures are refused", "[engine]") {
  Image broken(3, 2);
  broken.rgb.pop_back();
  CHECK_THROWS_AS(resize_antialiased(broken, 2, 2, Filter::lanczos), Error);
  CHECK_THROWS_AS(resize_antialiased({nullptr, 3, 2}, 2, 2, Filter::lanczos), Error);
  const Image small = small_picture();
  CHECK_THROWS_AS(resize_antialiased({small.rgb.data(), 3, 2, 8}, 2, 2, Filter::lanczos), Error);
  CHECK_THROWS_AS(resize_antialiased(small, 0, 2, Filter::lanczos), Error);
  CHECK_THROWS_AS(resize_antialiased(small, 2, -1, Filter::lanczos), Error);
  CHECK_THROWS_AS(Image(0, 5), Error);
  CHECK_THROWS_AS(Image(2000000000, 2000000000), Error);
  CHECK_THROWS_AS(resize_bilinear({nullptr, 3, 2}, 2, 2), Error);
}
