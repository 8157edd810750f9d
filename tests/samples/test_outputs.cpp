#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "fathom/error.hpp"
#include "samples/colormap.hpp"
#include "samples/depth_picture.hpp"
#include "samples/files.hpp"
#include "samples/npy.hpp"
#include "samples/pfm.hpp"
#include "samples/ply.hpp"
#include "tests/catch.hpp"
#include "tests/folder.hpp"

using namespace fathom;
using Bytes = std::vector<std::uint8_t>;

namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

// As NumPy writes it: the header padded with blanks to a multiple of 64 bytes.
Bytes npy(int version, const std::string& dictionary, const Bytes& data) {
  const std::size_t start = version == 1 ? 10 : 12;
  std::string header = dictionary;
  while ((start + header.size() + 1) % 64) header += ' ';
  header += '\n';
  Bytes bytes = {0x93, 'N', 'U', 'M', 'P', 'Y', static_cast<std::uint8_t>(version), 0};
  for (std::size_t i = 8; i < start; ++i) bytes.push_back(static_cast<std::uint8_t>(header.size() >> 8 * (i - 8)));
  bytes.insert(bytes.end(), header.begin(), header.end());
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

template <class T>
Bytes bytes_of(const std::vector<T>& values) {
  Bytes bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// Lightness in OKLab of an sRGB colour.
double lightness(const std::array<std::uint8_t, 3>& rgb) {
  double linear[3];
  for (int c = 0; c < 3; ++c) {
    const double v = rgb[c] / 255.0;
    linear[c] = v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
  }
  const auto [r, g, b] = linear;
  return 0.2104542553 * std::cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) +
         0.7936177850 * std::cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) -
         0.0040720468 * std::cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
}

}  // namespace

TEST_CASE("float maps survive being written and read", "[samples]") {
  const Folder folder("pfm");
  const std::vector<float> values = {1, -2.5f, 3e-30f, 4, infinity, 1e30f};
  write_pfm(folder / "a.pfm", 3, 2, values);
  const FloatMap map = read_pfm(folder / "a.pfm");
  CHECK((map.width == 3 && map.height == 2));
  CHECK(map.values == values);
  // By the letter: rows from the bottom, little-endian.
  const Bytes bytes = read_file(folder / "a.pfm");
  const std::string header = "Pf\n3 2\n-1.0\n";
  REQUIRE(bytes.size() == header.size() + 24);
  CHECK(std::memcmp(bytes.data(), header.data(), header.size()) == 0);
  CHECK(std::memcmp(bytes.data() + header.size(), values.data() + 3, 12) == 0);

  std::string big = "Pf\n1 1\n1.0\n";
  big += std::string("\x3F\xC0\x00\x00", 4);  // 1.5, its high byte first
  put(folder / "big.pfm", big);
  CHECK(read_pfm(folder / "big.pfm").values == std::vector<float>{1.5f});
  for (const std::string text :
       {"", "PF\n1 1\n-1\n000000000000", "Pf\n1 1\n-1\n000", "Pf\n-1 -1\n-1\n0000", "Pf\n1 1\n0\n0000",
        "Pf\n2000000000 2000000000\n-1\n0000", "Pf\n99999999999 1\n-1\n0000", "P6\n1 1\n255\n000"}) {
    put(folder / "bad.pfm", text);
    INFO(text);
    CHECK_THROWS_AS(read_pfm(folder / "bad.pfm"), Error);
  }
  CHECK_THROWS_AS(write_pfm(folder / "none/a.pfm", 3, 2, values), Error);
  CHECK_THROWS_AS(write_pfm(folder / "b.pfm", 2, 2, values), Error);
}

TEST_CASE("array files of NumPy are read in all the ways it writes maps", "[samples]") {
  const Folder folder("npy");
  const auto read = [&](const Bytes& bytes) {
    put(folder / "a.npy", bytes);
    return read_npy(folder / "a.npy").map;
  };
  const FloatMap expected{3, 2, {0, 1, 2, 3, 4, 5}};
  CHECK(read(npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 2, 3), }",
                 bytes_of<float>({0, 1, 2, 3, 4, 5}))) == expected);
  CHECK(read(npy(2, "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3), }",
                 bytes_of<double>({0, 3, 1, 4, 2, 5}))) == expected);
  CHECK(read(npy(3, "{'descr': '<u2', 'fortran_order': False, 'shape': (2, 3, 1), }",
                 bytes_of<std::uint16_t>({0, 1, 2, 3, 4, 5}))) == expected);
  CHECK(read(npy(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }", {0, 1, 2, 3, 4, 5})) == expected);
  CHECK(read(npy(1, "{'descr': '<f2', 'fortran_order': False, 'shape': (2,), }", {0x00, 0x3E, 0x00, 0xC0})) ==
        FloatMap{2, 1, {1.5f, -2}});
  CHECK(read(npy(1, "{'descr': '>f4', 'fortran_order': False, 'shape': (), }", {0x3F, 0xC0, 0, 0})) ==
        FloatMap{1, 1, {1.5f}});
  CHECK(read_npy(folder / "a.npy").dtype == ">f4");
}

TEST_CASE("array files that lie are refused", "[samples]") {
  const Folder folder("npy_bad");
  const Bytes data = bytes_of<float>({0, 1, 2, 3, 4, 5});
  for (const char* dictionary : {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }",
                                 "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }",
                                 "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 2), }",
                                 "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }",
                                 "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }",
                                 "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000), }",
                                 "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3), }",
                                 "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3",
                                 "{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }",
                                 "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3), }",
                                 "{'descr': '<c8', 'fortran_order': False, 'shape': (3,), }", "{'descr':", "{}", ""}) {
    INFO(dictionary);
    put(folder / "bad.npy", npy(1, dictionary, data));
    CHECK_THROWS_AS(read_npy(folder / "bad.npy"), Error);
  }
  const Bytes whole = npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", data);
  for (std::size_t length = 0; length < whole.size(); length += 3) {
    put(folder / "bad.npy", std::span(whole).first(length));
    CHECK_THROWS_AS(read_npy(folder / "bad.npy"), Error);
  }
}

TEST_CASE("point clouds put every pixel in its place", "[samples]") {
  const Folder folder("ply");
  const DepthMap map{2, 2, {2, 4, 0, not_a_number}, "m"};
  Image photo(2, 2);
  for (int i = 0; i < 12; ++i) photo.rgb[i] = static_cast<std::uint8_t>(i + 1);
  CHECK(write_ply(folder / "a.ply", map, photo, {.focal_pixels = 0.5}) == 2);
  const Bytes bytes = read_file(folder / "a.ply");
  const std::string text(bytes.begin(), bytes.end());
  CHECK(text.starts_with("ply\nformat binary_little_endian 1.0\n"));
  CHECK(text.find("element vertex 2\n") != std::string::npos);
  CHECK(text.find("comment unit m\n") != std::string::npos);
  const std::size_t start = text.find("end_header\n") + 11;
  REQUIRE(bytes.size() == start + 30);
  float place[3];
  std::memcpy(place, bytes.data() + start, 12);
  CHECK((place[0] == -2 && place[1] == 2 && place[2] == -2));  // half a pixel left of and above the centre
  std::memcpy(place, bytes.data() + start + 15, 12);
  CHECK((place[0] == 4 && place[1] == 4 && place[2] == -4));
  CHECK((bytes[start + 12] == 1 && bytes[start + 14] == 3 && bytes[start + 27] == 4));

  CHECK(focal_pixels({}, 640) == Approx(320 / std::tan(std::acos(-1) / 6)));
  CHECK(focal_pixels({.focal_pixels = 500}, 640) == 500);
  CHECK_THROWS_AS(focal_pixels({.horizontal_view_degrees = 180}, 640), Error);
  CHECK_THROWS_AS(write_ply(folder / "b.ply", map, Image(3, 2)), Error);
}

TEST_CASE("colours rise in lightness by even steps", "[samples]") {
  for (const std::string name : {"magma", "viridis", "grey"}) {
    const Colormap map = colormap(name);
    for (int i = 0; i + 16 < 256; i += 16) {
      INFO(name << " at " << i);
      const double step = lightness(map.rgb[i + 16]) - lightness(map.rgb[i]);
      CHECK(step > 0.03);
      if (name != "grey") CHECK(step < 0.08);  // grey rises evenly in sRGB
    }
  }
  // A rainbow is lightest in the middle.
  const Colormap rainbow = colormap("turbo");
  CHECK(lightness(rainbow.at(0.55f)) > 0.85);
  CHECK((lightness(rainbow.at(0)) < 0.4 && lightness(rainbow.at(1)) < 0.5));
  CHECK(rainbow.at(-1) == rainbow.rgb[0]);
  CHECK(rainbow.at(2) == rainbow.rgb[255]);
  CHECK(rainbow.at(not_a_number) == rainbow.rgb[0]);
  CHECK_THROWS_WITH(colormap("plaid"), says("viridis"));
  for (const char* name : colormap_names()) CHECK_NOTHROW(colormap(name));
  // White and a known red.
  const auto white = oklab_to_srgb(1, 0, 0), red = oklab_to_srgb(0.62796, 0.22486, 0.12585);
  for (const double v : white) CHECK(v == Approx(1).margin(1e-4));
  CHECK((red[0] == Approx(1).margin(1e-3) && std::abs(red[1]) < 2e-3 && std::abs(red[2]) < 2e-3));
}

TEST_CASE("near is bright, odd pixels do not spoil the range, and holes are black", "[samples]") {
  DepthMap map{100, 10, std::vector<float>(1000), "m"};
  for (int i = 0; i < 1000; ++i) map.depth[i] = 1 / (1 + 0.001f * static_cast<float>(i));  // inverse depths 1 to 2
  map.depth[0] = 1e-6f, map.depth[1] = 0, map.depth[2] = not_a_number, map.depth[3] = infinity, map.depth[4] = -1;
  const DisplayRange range = display_range(map);
  CHECK(range.far == Approx(1.02).margin(0.01));
  CHECK(range.near == Approx(1.98).margin(0.01));
  const Image picture = depth_picture(map, colormap("grey"));
  CHECK(picture.rgb[0] == 255);
  for (int i = 1; i < 5; ++i) CHECK(picture.rgb[3 * i] == 0);
  for (int i = 5; i + 1 < 1000; ++i) REQUIRE(picture.rgb[3 * i] <= picture.rgb[3 * (i + 1)]);
  CHECK(picture.row(9)[3 * 99] == 255);
  CHECK(depth_picture(map, colormap("grey"), DisplayRange{0, 4}).row(9)[3 * 99] == Approx(128).margin(2));
  CHECK(depth_picture({2, 1, {3, 3}, "m"}, colormap("grey")).rgb == Bytes(6, 128));
  CHECK(depth_picture({2, 1, {0, not_a_number}, "m"}, colormap("grey")).rgb == Bytes(6, 0));
}

TEST_CASE("pictures stand side by side", "[samples]") {
  Image left(2, 1), right(1, 2);
  left.rgb.assign(6, 10), right.rgb.assign(6, 20);
  const Image both = side_by_side(left, right);
  REQUIRE((both.width == 3 && both.height == 2));
  CHECK(both.rgb == Bytes{10, 10, 10, 10, 10, 10, 20, 20, 20, 0, 0, 0, 0, 0, 0, 20, 20, 20});
}

TEST_CASE("depth in 16 bits says its unit", "[samples]") {
  const DepthPlane metres = depth_plane({5, 1, {1.2344f, 0, not_a_number, 70, 0.0001f}, "m"});
  CHECK(metres.plane.values == std::vector<std::uint16_t>{1234, 0, 0, 65535, 1});
  CHECK(metres.clipped == 1);
  CHECK(metres.text == "depth in m = value / 1000; 0: none");
  CHECK(depth_plane({1, 1, {2}, "m"}, 5000).plane.values[0] == 10000);
  const DepthPlane relative = depth_plane({2, 1, {1, 4}, "relative"});
  CHECK(relative.plane.values == std::vector<std::uint16_t>{16384, 65535});
  CHECK(relative.clipped == 0);
  CHECK(relative.text.find("up to scale") != std::string::npos);
}
