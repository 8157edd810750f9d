#include "samples/picture.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <string>

#include "fathom/error.hpp"
#include "samples/complaints.hpp"
#include "samples/files.hpp"
#include "samples/picture_header.hpp"

namespace fathom {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t most_file_bytes = std::int64_t{1} << 30;
constexpr std::int64_t most_pixels = std::int64_t{1} << 28;

struct Decoded {
  cv::Mat pixels;  // as stored: 1 to 4 channels in OpenCV's order, of any depth
  int orientation = 1;
};

Decoded decode(const fs::path& path) {
  std::vector<std::uint8_t> bytes = read_file(path, most_file_bytes);
  if (bytes.empty()) throw Error(ErrorKind::image, path.string() + " is empty, not a picture");
  const PictureHeader header = picture_header(bytes);
  if (!header.whole)
    throw Error(ErrorKind::image,
                path.string() + " is cut off: the " + header.format + " ends before its picture does");
  if (header.width * header.height > most_pixels)
    throw Error(ErrorKind::image, path.string() + " is " + std::to_string(header.width) + "x" +
                                      std::to_string(header.height) +
                                      " pixels large, over the limit of 268 million: scale it down first");
  if (header.format == "PNG") bytes = bare_png(bytes);

  const Complaints complaints;
  Decoded decoded{{}, header.orientation};
  try {
    decoded.pixels =
        cv::imdecode(cv::Mat(1, static_cast<int>(bytes.size()), CV_8U, bytes.data()), cv::IMREAD_UNCHANGED);
  } catch (const std::exception&) {  // the text is OpenCV's, of use to its developers only
  }
  if (decoded.pixels.empty() && header.format.empty())
    throw Error(ErrorKind::image, path.string() + " is not a picture, or of a format that OpenCV does not read here");
  // libjpeg fills what it cannot decode with grey, and only says so.
  if (decoded.pixels.empty() || complaints.text().find("premature end") != std::string::npos)
    throw Error(ErrorKind::image, path.string() + " cannot be decoded: a damaged " + header.format +
                                      ", or one of a kind that OpenCV does not read");
  if (static_cast<std::int64_t>(decoded.pixels.total()) > most_pixels)
    throw Error(ErrorKind::image, path.string() + " has more than 268 million pixels: scale it down first");
  return decoded;
}

// Linear light in [0, 1] to 8 bits: 12.92 v below 0.0031308, else 1.055 v^(1/2.4) - 0.055.
std::uint8_t srgb(float v) {
  if (!(v > 0)) return 0;
  v = std::min(v, 1.0f);
  v = v <= 0.0031308f ? 12.92f * v : 1.055f * std::pow(v, 1 / 2.4f) - 0.055f;
  return static_cast<std::uint8_t>(std::lround(255 * v));
}

std::uint8_t to_8_bits(std::uint8_t v) { return v; }
std::uint8_t to_8_bits(std::uint16_t v) { return static_cast<std::uint8_t>((v * 255u + 32767u) / 65535u); }
std::uint8_t to_8_bits(float v) { return srgb(v); }

std::uint32_t opacity(std::uint8_t v) { return v; }
std::uint32_t opacity(std::uint16_t v) { return to_8_bits(v); }
std::uint32_t opacity(float v) { return static_cast<std::uint32_t>(std::lround(255 * std::clamp(v, 0.0f, 1.0f))); }

// OpenCV's channels are grey, BGR or BGRA.
template <class T>
void convert(const cv::Mat& from, Image& to) {
  const int channels = from.channels();
  for (int y = 0; y < to.height; ++y) {
    const T* in = from.ptr<T>(y);
    std::uint8_t* out = to.row(y);
    for (int x = 0; x < to.width; ++x, in += channels, out += 3) {
      if (channels == 1) {
        out[0] = out[1] = out[2] = to_8_bits(in[0]);
        continue;
      }
      for (int c = 0; c < 3; ++c) out[c] = to_8_bits(in[2 - c]);
      if (channels == 4) {
        const std::uint32_t a = opacity(in[3]);
        for (int c = 0; c < 3; ++c) out[c] = static_cast<std::uint8_t>((out[c] * a + 255 * (255 - a) + 127) / 255);
      }
    }
  }
}

// EXIF's number says where the first row and column of the stored picture belong: 2, 4, 5 and 7 mirror it, 3, 6 and 8
// turn it by 180, 90 and 270 degrees clockwise.
Image upright(const Image& in, int orientation) {
  const bool lying = orientation >= 5;
  const int w = in.width, h = in.height;
  Image out(lying ? h : w, lying ? w : h);
  const bool mirror_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool mirror_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x) {
      const int from_x = lying ? y : x, from_y = lying ? x : y;
      const std::uint8_t* pixel =
          in.row(mirror_y ? h - 1 - from_y : from_y) + std::int64_t{3} * (mirror_x ? w - 1 - from_x : from_x);
      std::copy_n(pixel, 3, out.row(y) + std::int64_t{3} * x);
    }
  return out;
}

void encode(const fs::path& path, const cv::Mat& pixels, const std::string& description) {
  std::vector<std::uint8_t> bytes;
  try {
    if (!cv::imencode(".png", pixels, bytes)) bytes.clear();
  } catch (const std::exception&) {
    bytes.clear();
  }
  if (bytes.empty())
    throw Error(ErrorKind::file, "cannot write " + path.string() + ": OpenCV could not encode " +
                                     std::to_string(pixels.cols) + "x" + std::to_string(pixels.rows) +
                                     " pixels as PNG");
  write_file(path, description.empty() ? bytes : with_text(bytes, "Description", description));
}

}  // namespace

Image read_picture(const fs::path& path) {
  const Decoded decoded = decode(path);
  const cv::Mat& pixels = decoded.pixels;
  Image image(pixels.cols, pixels.rows);
  const int channels = pixels.channels();
  const bool known = channels == 1 || channels == 3 || channels == 4;
  if (known && pixels.depth() == CV_8U)
    convert<std::uint8_t>(pixels, image);
  else if (known && pixels.depth() == CV_16U)
    convert<std::uint16_t>(pixels, image);
  else if (known && pixels.depth() == CV_32F)
    convert<float>(pixels, image);
  else
    throw Error(ErrorKind::image, path.string() + " has pixels of " + std::to_string(channels) + " channels of type " +
                                      cv::typeToString(pixels.type()) + ": convert it to 8-bit RGB first");
  return decoded.orientation == 1 ? image : upright(image, decoded.orientation);
}

Plane16 read_plane16(const fs::path& path) {
  const cv::Mat pixels = decode(path).pixels;
  if (pixels.channels() != 1 || (pixels.depth() != CV_8U && pixels.depth() != CV_16U))
    throw Error(ErrorKind::image, path.string() + " is no depth picture: that has one channel of 8 or 16 bits");
  Plane16 plane{pixels.cols, pixels.rows, {}};
  plane.values.reserve(pixels.total());
  for (int y = 0; y < pixels.rows; ++y)
    for (int x = 0; x < pixels.cols; ++x)
      plane.values.push_back(pixels.depth() == CV_8U ? pixels.at<std::uint8_t>(y, x) : pixels.at<std::uint16_t>(y, x));
  return plane;
}

void write_png(const fs::path& path, const ImageView& image) {
  check(image);
  cv::Mat pixels(image.height, image.width, CV_8UC3);
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* in = image.row(y);
    std::uint8_t* out = pixels.ptr<std::uint8_t>(y);
    for (std::int64_t x = 0; x < std::int64_t{3} * image.width; x += 3)
      out[x] = in[x + 2], out[x + 1] = in[x + 1], out[x + 2] = in[x];
  }
  encode(path, pixels, "");
}

void write_png(const fs::path& path, const Plane16& plane, const std::string& description) {
  if (plane.width < 1 || plane.height < 1 ||
      plane.values.size() != static_cast<std::size_t>(plane.width) * static_cast<std::size_t>(plane.height))
    throw Error(ErrorKind::image, "cannot write " + path.string() + ": its sizes and values do not agree");
  encode(path, cv::Mat(plane.height, plane.width, CV_16UC1, const_cast<std::uint16_t*>(plane.values.data())),
         description);
}

}  // namespace fathom
