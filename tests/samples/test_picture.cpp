#include "samples/picture.hpp"

#include <unistd.h>

#include <filesystem>
#include <iterator>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "fathom/error.hpp"
#include "samples/picture_header.hpp"
#include "tests/catch.hpp"
#include "tests/folder.hpp"

using namespace fathom;
namespace fs = std::filesystem;

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes encoded(const std::string& extension, const cv::Mat& pixels, const std::vector<int>& options = {}) {
  Bytes bytes;
  REQUIRE(cv::imencode(extension, pixels, bytes, options));
  return bytes;
}

// Red rises to the right, green downwards; blue is a checkerboard of large cells. In OpenCV's order.
cv::Mat scene(int width, int height, int type = CV_8UC3) {
  cv::Mat pixels(height, width, CV_8UC3);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      pixels.at<cv::Vec3b>(y, x) = {static_cast<std::uint8_t>((x / 8 + y / 8) % 2 * 100),
                                    static_cast<std::uint8_t>(255 * y / height),
                                    static_cast<std::uint8_t>(255 * x / width)};
  cv::Mat out;
  pixels.convertTo(out, CV_MAT_DEPTH(type), CV_MAT_DEPTH(type) == CV_16U ? 257 : 1);
  return out;
}

std::string refusal(const fs::path& path, ErrorKind kind = ErrorKind::image) {
  try {
    read_picture(path);
  } catch (const Error& error) {
    CHECK(error.kind() == kind);
    const std::string text = error.what();
    CHECK(text.find(path.filename().string()) != std::string::npos);
    CHECK(text.find('\n') == std::string::npos);
    return text;
  }
  return "";
}

// EXIF data that says how the camera was held, as a JPEG segment.
Bytes with_orientation(const Bytes& jpeg, int orientation, bool big_endian) {
  Bytes tiff = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, static_cast<std::uint8_t>(orientation),
                0,   0,   0,  0, 0, 0, 0};
  if (big_endian)
    tiff = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, static_cast<std::uint8_t>(orientation),
            0,   0,   0, 0,  0, 0};
  Bytes out = {0xFF, 0xD8, 0xFF, 0xE1, 0, static_cast<std::uint8_t>(2 + 6 + tiff.size()), 'E', 'x', 'i', 'f', 0, 0};
  for (const std::uint8_t byte : tiff) out.push_back(byte);
  for (std::size_t i = 2; i < jpeg.size(); ++i) out.push_back(jpeg[i]);
  return out;
}

}  // namespace

TEST_CASE("pictures survive being written and read", "[samples]") {
  const Folder folder("pictures");
  for (const auto& [w, h] : {std::pair{1, 1}, {3, 5}, {1, 4096}, {4096, 1}, {33, 17}}) {
    Image image(w, h);
    for (std::size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<std::uint8_t>(i * 2654435761u >> 13);
    write_png(folder / "a.png", image);
    CHECK(read_picture(folder / "a.png") == image);
  }
  Plane16 plane{3, 2, {0, 1, 256, 65535, 5000, 12345}};
  write_png(folder / "depth.png", plane);
  CHECK(read_plane16(folder / "depth.png").values == plane.values);
  CHECK(read_plane16(folder / "depth.png").width == 3);
  write_png(folder / "colour.png", Image(2, 2));
  CHECK_THROWS_AS(read_plane16(folder / "colour.png"), Error);
  // A description travels in the file and changes no pixel.
  write_png(folder / "told.png", plane, "depth in m = value / 1000");
  CHECK(read_plane16(folder / "told.png").values == plane.values);
  const cv::Mat others = cv::imread((folder / "told.png").string(), cv::IMREAD_UNCHANGED);
  CHECK(others.at<std::uint16_t>(1, 2) == 12345);
  std::ifstream file(folder / "told.png", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  CHECK(bytes.find(std::string("tEXtDescription\0depth in m = value / 1000", 41)) != std::string::npos);
}

TEST_CASE("every kind of pixel becomes 8-bit RGB", "[samples]") {
  const Folder folder("pictures");
  cv::Mat colours(1, 3, CV_8UC3);
  colours.at<cv::Vec3b>(0, 0) = {3, 2, 1}, colours.at<cv::Vec3b>(0, 1) = {255, 0, 128},
                           colours.at<cv::Vec3b>(0, 2) = {0, 255, 7};
  const Bytes expected = {1, 2, 3, 128, 0, 255, 7, 255, 0};
  for (const char* extension : {".png", ".bmp", ".ppm", ".tiff"}) {
    INFO(extension);
    fathom::put(folder / "a", encoded(extension, colours));
    CHECK(read_picture(folder / "a").rgb == expected);
  }

  cv::Mat sixteen;
  colours.convertTo(sixteen, CV_16U, 257);
  fathom::put(folder / "sixteen.png", encoded(".png", sixteen));
  CHECK(read_picture(folder / "sixteen.png").rgb == expected);
  fathom::put(folder / "grey16.png", encoded(".png", cv::Mat(1, 1, CV_16U, cv::Scalar(32768))));
  CHECK(read_picture(folder / "grey16.png").rgb == Bytes{128, 128, 128});
  fathom::put(folder / "grey.jpg", encoded(".jpg", cv::Mat(9, 7, CV_8U, cv::Scalar(90))));
  CHECK(read_picture(folder / "grey.jpg").rgb == Bytes(9 * 7 * 3, 90));

  // Transparent pixels show white.
  cv::Mat alpha(1, 3, CV_8UC4);
  alpha.at<cv::Vec4b>(0, 0) = {10, 20, 30, 255}, alpha.at<cv::Vec4b>(0, 1) = {10, 20, 30, 0},
                         alpha.at<cv::Vec4b>(0, 2) = {0, 0, 0, 51};
  fathom::put(folder / "alpha.png", encoded(".png", alpha));
  CHECK(read_picture(folder / "alpha.png").rgb == Bytes{30, 20, 10, 255, 255, 255, 204, 204, 204});

  // Linear light: sRGB(0.5) = 188.
  fathom::put(folder / "light.tiff",
              encoded(".tiff", cv::Mat(1, 1, CV_32FC3, cv::Scalar(0.5, 7, -1)), {cv::IMWRITE_TIFF_COMPRESSION, 1}));
  CHECK(read_picture(folder / "light.tiff").rgb == Bytes{0, 255, 188});
}

TEST_CASE("the orientation that a camera noted is applied", "[samples]") {
  const Folder folder("pictures");
  const cv::Mat stored = scene(64, 32);
  const Bytes jpeg = encoded(".jpg", stored);
  fathom::put(folder / "upright.jpg", jpeg);
  const Image upright = read_picture(folder / "upright.jpg");
  // Where the stored picture's first corner (dark) and its right and lower corners (red, green) come to lie.
  struct Place {
    int orientation, dark_x, dark_y, red_x, red_y;
  };
  for (const Place& p : {Place{1, 0, 0, 1, 0},
                         {2, 1, 0, 0, 0},
                         {3, 1, 1, 0, 1},
                         {4, 0, 1, 1, 1},
                         {5, 0, 0, 0, 1},
                         {6, 1, 0, 1, 1},
                         {7, 1, 1, 1, 0},
                         {8, 0, 1, 0, 0}})
    for (const bool big_endian : {false, true}) {
      INFO("orientation " << p.orientation);
      fathom::put(folder / "turned.jpg", with_orientation(jpeg, p.orientation, big_endian));
      const Image image = read_picture(folder / "turned.jpg");
      REQUIRE(image.width == (p.orientation >= 5 ? 32 : 64));
      const auto corner = [&](int x, int y) { return image.row(y * (image.height - 1)) + 3 * x * (image.width - 1); };
      CHECK((corner(p.dark_x, p.dark_y)[0] < 30 && corner(p.dark_x, p.dark_y)[1] < 30));
      CHECK((corner(p.red_x, p.red_y)[0] > 220 && corner(p.red_x, p.red_y)[1] < 30));
      // OpenCV itself agrees.
      const cv::Mat other = cv::imread((folder / "turned.jpg").string());
      REQUIRE((other.cols == image.width && other.rows == image.height));
      for (int y = 0; y < image.height; ++y)
        for (int x = 0; x < image.width; ++x)
          for (int c = 0; c < 3; ++c) REQUIRE(image.row(y)[3 * x + c] == other.at<cv::Vec3b>(y, x)[2 - c]);
    }
  fathom::put(folder / "nonsense.jpg", with_orientation(jpeg, 77, false));
  CHECK(read_picture(folder / "nonsense.jpg") == upright);
}

TEST_CASE("what is no picture is refused by name", "[samples]") {
  const Folder folder("pictures");
  CHECK(refusal(folder / "missing.png", ErrorKind::file).find("no such file") != std::string::npos);
  fs::create_directory(folder / "photos");
  CHECK(refusal(folder / "photos", ErrorKind::file).find("folder") != std::string::npos);
  fathom::put(folder / "empty.png", std::string());
  CHECK(refusal(folder / "empty.png").find("empty") != std::string::npos);
  fathom::put(folder / "text.jpg", std::string("This is a letter, not a photograph."));
  CHECK(refusal(folder / "text.jpg").find("not a picture") != std::string::npos);
  fathom::put(folder / "odd.png", std::string("\x89PNG\r\n\x1a\nnonsense follows here......"));
  CHECK(!refusal(folder / "odd.png").empty());
}

TEST_CASE("pictures that are cut off are refused, wherever they are cut", "[samples]") {
  const Folder folder("pictures");
  const cv::Mat pixels = scene(200, 150);
  const Bytes progressive =
      encoded(".jpg", pixels, {cv::IMWRITE_JPEG_PROGRESSIVE, 1, cv::IMWRITE_JPEG_RST_INTERVAL, 2});
  const std::pair<const char*, Bytes> files[] = {
      {"a.png", encoded(".png", pixels)},   {"a.jpg", encoded(".jpg", pixels)},
      {"progressive.jpg", progressive},     {"a.bmp", encoded(".bmp", pixels)},
      {"a.ppm", encoded(".ppm", pixels)},   {"a.tiff", encoded(".tiff", pixels)},
      {"a.webp", encoded(".webp", pixels)}, {"turned.jpg", with_orientation(encoded(".jpg", pixels), 6, true)}};
  for (const auto& [name, bytes] : files) {
    fathom::put(folder / name, bytes);
    CHECK_NOTHROW(read_picture(folder / name));
    for (const double part : {0.02, 0.3, 0.5, 0.9, 0.99}) {
      const auto kept = static_cast<std::size_t>(static_cast<double>(bytes.size()) * part);
      INFO(name << " cut to " << kept << " of " << bytes.size() << " bytes");
      fathom::put(folder / name, std::span(bytes).first(kept));
      CHECK(!refusal(folder / name).empty());
    }
  }
  // Only the last byte of the end marker is missing; bytes after the end do no harm.
  const Bytes& jpeg = files[1].second;
  fathom::put(folder / "b.jpg", std::span(jpeg).first(jpeg.size() - 1));
  CHECK(refusal(folder / "b.jpg").find("cut off") != std::string::npos);
  Bytes longer = jpeg;
  longer.insert(longer.end(), 100, 0);
  fathom::put(folder / "c.jpg", longer);
  CHECK_NOTHROW(read_picture(folder / "c.jpg"));
  // A small preview before the picture has an end marker of its own.
  Bytes preview = {0xFF, 0xD8, 0xFF, 0xE2, 0, 8, 0xFF, 0xD8, 1, 2, 0xFF, 0xD9};
  preview.insert(preview.end(), jpeg.begin() + 2, jpeg.end() - 300);
  fathom::put(folder / "d.jpg", preview);
  CHECK(refusal(folder / "d.jpg").find("cut off") != std::string::npos);
}

TEST_CASE("pictures that are damaged in the middle are refused, with no word on stderr", "[samples]") {
  const Folder folder("pictures");
  std::FILE* caught = std::tmpfile();
  const int real = dup(2);
  dup2(fileno(caught), 2);
  for (const char* extension : {".png", ".jpg"}) {
    Bytes bytes = encoded(extension, scene(200, 150));
    // The JPEG loses the end of its scan's data but not the marker after it.
    if (extension == std::string(".jpg"))
      bytes.erase(bytes.begin() + bytes.size() / 2, bytes.end() - 2);
    else
      bytes[bytes.size() / 2] ^= 0xFF;
    const std::string name = std::string("damaged") + extension;
    fathom::put(folder / name, bytes);
    CHECK(refusal(folder / name).find("damaged") != std::string::npos);
  }
  std::fflush(stderr);
  dup2(real, 2);
  close(real);
  std::fseek(caught, 0, SEEK_END);
  CHECK(std::ftell(caught) == 0);
  std::fclose(caught);
}

TEST_CASE("a header that promises too much is refused before anything is decoded", "[samples]") {
  const Folder folder("pictures");
  Bytes png = encoded(".png", scene(16, 16));
  const auto put = [](Bytes& bytes, std::size_t at, std::uint32_t v) {
    for (int i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::uint8_t>(v >> (24 - 8 * i));
  };
  put(png, 16, 20000), put(png, 20, 20000);
  std::uint32_t crc = 0xFFFFFFFF;  // of the chunk's type and data, so that nothing else is wrong with it
  for (std::size_t i = 12; i < 29; ++i) {
    crc ^= png[i];
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
  }
  put(png, 29, ~crc);
  fathom::put(folder / "vast.png", png);
  CHECK(refusal(folder / "vast.png").find("20000x20000") != std::string::npos);

  Bytes jpeg = encoded(".jpg", scene(16, 16));
  for (std::size_t i = 2; i + 9 < jpeg.size(); ++i)
    if (jpeg[i] == 0xFF && jpeg[i + 1] == 0xC0) jpeg[i + 5] = jpeg[i + 7] = 0xFF;
  fathom::put(folder / "vast.jpg", jpeg);
  CHECK(refusal(folder / "vast.jpg").find("over the limit") != std::string::npos);
}

TEST_CASE("broken bytes anywhere end in a picture or an error", "[samples]") {
  const Folder folder("pictures");
  std::uint32_t state = 7;
  const auto random = [&] { return (state = state * 1664525u + 1013904223u) >> 8; };
  for (const char* extension : {".png", ".jpg", ".webp", ".bmp", ".tiff"}) {
    const Bytes whole = encoded(extension, scene(24, 20));
    for (int round = 0; round < 60; ++round) {
      Bytes bytes = whole;
      for (int i = 0; i < 4; ++i) bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
      if (round % 2) bytes.resize(random() % bytes.size());
      fathom::put(folder / "broken", bytes);
      try {
        read_picture(folder / "broken");
      } catch (const Error&) {
      }
    }
  }
}

TEST_CASE("the orientation is found after chunks of odd length", "[samples]") {
  const Bytes exif = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0};
  const auto add = [](Bytes& to, const Bytes& bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); };
  for (const std::uint8_t length : {0, 1, 2, 3}) {
    INFO("a chunk of " << int{length} << " bytes before it");
    // PNG does not pad; checksums are not looked at here.
    const Bytes plain = encoded(".png", scene(5, 4));
    Bytes png(plain.begin(), plain.begin() + 33);
    add(png, {0, 0, 0, length, 't', 'E', 'S', 't'}), png.resize(png.size() + length + 4);
    add(png, {0, 0, 0, static_cast<std::uint8_t>(exif.size()), 'e', 'X', 'I', 'f'}), add(png, exif);
    png.resize(png.size() + 4);
    png.insert(png.end(), plain.begin() + 33, plain.end());
    const auto of_png = picture_header(png);
    CHECK((of_png.orientation == 6 && of_png.width == 5 && of_png.height == 4 && of_png.whole));
    // RIFF pads to even lengths.
    Bytes webp = {'R', 'I', 'F', 'F', 0, 0, 0, 0, 'W', 'E', 'B', 'P'};
    add(webp, {'V', 'P', '8', 'X', 10, 0, 0, 0, 8, 0, 0, 0, 4, 1, 0, 3, 2, 0});
    add(webp, {'I', 'C', 'C', 'P', length, 0, 0, 0}), webp.resize(webp.size() + length + length % 2);
    add(webp, {'E', 'X', 'I', 'F', static_cast<std::uint8_t>(exif.size()), 0, 0, 0}), add(webp, exif);
    webp[4] = static_cast<std::uint8_t>(webp.size() - 8);
    const auto of_webp = picture_header(webp);
    CHECK((of_webp.orientation == 6 && of_webp.width == 261 && of_webp.height == 516 && of_webp.whole));
    webp.pop_back();
    CHECK(!picture_header(webp).whole);
  }
}

TEST_CASE("headers are read from any bytes", "[samples]") {
  std::uint32_t state = 11;
  const auto random = [&] { return (state = state * 1664525u + 1013904223u) >> 8; };
  for (const char* extension : {".png", ".jpg", ".webp", ".bmp", ".tiff"}) {
    const Bytes plain = encoded(extension, scene(24, 20));
    // Only a JPEG takes the segment of an orientation at its start.
    const bool jpeg = extension == std::string(".jpg");
    const Bytes whole = jpeg ? with_orientation(plain, 6, true) : plain;
    CHECK(picture_header(whole).orientation == (jpeg ? 6 : 1));
    CHECK(picture_header(plain).whole);
    for (int round = 0; round < 2000; ++round) {
      Bytes bytes = round % 2 ? whole : plain;
      for (int i = 0; i < 4; ++i)
        bytes[random() % std::min<std::size_t>(bytes.size(), 200)] = static_cast<std::uint8_t>(random());
      if (round % 3 == 0) bytes.resize(random() % bytes.size());
      const int orientation = picture_header(bytes).orientation;
      REQUIRE((orientation >= 1 && orientation <= 8));
      bare_png(bytes);
    }
  }
}

TEST_CASE("writing fails loudly and leaves what was there", "[samples]") {
  const Folder folder("pictures");
  const Image image(4, 4);
  const auto failure = [&](const fs::path& path) -> std::string {
    try {
      write_png(path, image);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::file);
      return error.what();
    }
    return "";
  };
  CHECK(failure(folder / "none/a.png").find("no folder") != std::string::npos);
  fs::create_directory(folder / "b.png");
  CHECK(failure(folder / "b.png").find("folder") != std::string::npos);
  if (fs::exists("/dev/full")) CHECK(failure("/dev/full").find("No space left") != std::string::npos);

  write_png(folder / "c.png", image);
  write_png(folder / "c.png", Image(2, 2));
  CHECK(read_picture(folder / "c.png").width == 2);
  fs::create_symlink(folder / "c.png", folder / "link.png");
  write_png(folder / "link.png", Image(3, 3));
  CHECK(fs::is_symlink(folder / "link.png"));
  CHECK(read_picture(folder / "c.png").width == 3);
  int left = 0;
  for (const auto& entry : fs::directory_iterator(folder.path))
    left += entry.path().string().find(".part") != std::string::npos;
  CHECK(left == 0);
}
