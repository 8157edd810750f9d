#include "samples/picture_header.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

namespace fathom {
namespace {

using Bytes = std::span<const std::uint8_t>;

bool has(Bytes bytes, std::size_t at, std::string_view text) {
  return at <= bytes.size() && bytes.size() - at >= text.size() &&
         std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

// A number of `count` bytes; zero past the end, which no caller takes for a size.
std::uint32_t number(Bytes bytes, std::size_t at, int count, bool big_endian) {
  if (at > bytes.size() || bytes.size() - at < static_cast<std::size_t>(count)) return 0;
  std::uint32_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | bytes[at + (big_endian ? i : count - 1 - i)];
  return value;
}

// A tag of the first directory of a TIFF structure, which is also what EXIF data is.
std::optional<std::uint32_t> tiff_tag(Bytes tiff, std::uint32_t wanted) {
  const bool big = has(tiff, 0, "MM");
  if (!big && !has(tiff, 0, "II")) return std::nullopt;
  if (number(tiff, 2, 2, big) != 42) return std::nullopt;
  const std::size_t directory = number(tiff, 4, 4, big);
  const std::uint32_t entries = number(tiff, directory, 2, big);
  for (std::uint32_t e = 0; e < entries; ++e) {
    const std::size_t at = directory + 2 + std::size_t{12} * e;
    if (at + 12 > tiff.size()) return std::nullopt;
    if (number(tiff, at, 2, big) != wanted) continue;
    return number(tiff, at + 8, number(tiff, at + 2, 2, big) == 3 ? 2 : 4, big);  // type 3 is a 16-bit number
  }
  return std::nullopt;
}

int orientation(Bytes exif) {
  if (has(exif, 0, std::string_view("Exif\0\0", 6))) exif = exif.subspan(6);
  const std::uint32_t value = tiff_tag(exif, 0x0112).value_or(1);
  return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
}

constexpr std::string_view png_signature("\x89PNG\r\n\x1a\n", 8);

// f(type, whole chunk with length and checksum, its data) until IEND; true when IEND was there.
template <class F>
bool for_each_chunk(Bytes bytes, const F& f) {
  std::size_t at = png_signature.size();
  while (at + 12 <= bytes.size()) {
    const std::size_t length = number(bytes, at, 4, true);
    if (length > bytes.size() - at - 12) return false;
    const std::string_view type(reinterpret_cast<const char*>(bytes.data() + at + 4), 4);
    f(type, bytes.subspan(at, length + 12), bytes.subspan(at + 8, length));
    if (type == "IEND") return true;
    at += length + 12;
  }
  return false;
}

PictureHeader png_header(Bytes bytes) {
  PictureHeader header{"PNG"};
  header.whole = for_each_chunk(bytes, [&](std::string_view type, Bytes, Bytes data) {
    if (type == "IHDR") header.width = number(data, 0, 4, true), header.height = number(data, 4, 4, true);
    if (type == "eXIf") header.orientation = orientation(data);
  });
  if (header.width == 0) header.width = number(bytes, 16, 4, true), header.height = number(bytes, 20, 4, true);
  return header;
}

// Segments up to the first scan, then a search for the marker that ends the picture. Segments are skipped by their
// lengths, so that a preview inside one of them is not taken for the picture.
PictureHeader jpeg_header(Bytes bytes) {
  PictureHeader header{"JPEG"};
  header.whole = false;
  std::size_t at = 2;
  while (at + 1 < bytes.size()) {
    if (bytes[at] != 0xFF) {  // data of a scan
      const auto* next = static_cast<const std::uint8_t*>(std::memchr(bytes.data() + at, 0xFF, bytes.size() - at));
      if (!next) return header;
      at = static_cast<std::size_t>(next - bytes.data());
      continue;
    }
    const int marker = bytes[at + 1];
    if (marker == 0xFF) {  // filling
      ++at;
      continue;
    }
    if (marker == 0xD9) {
      header.whole = true;
      return header;
    }
    if (marker == 0 || marker == 1 || (marker >= 0xD0 && marker <= 0xD8)) {  // a byte 0xFF of data; restarts
      at += 2;
      continue;
    }
    const std::size_t length = number(bytes, at + 2, 2, true);
    if (length < 2 || length > bytes.size() - at - 2) return header;
    const Bytes data = bytes.subspan(at + 4, length - 2);
    const bool frame = marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
    if (frame) header.height = number(data, 1, 2, true), header.width = number(data, 3, 2, true);
    if (marker == 0xE1 && has(data, 0, "Exif")) header.orientation = orientation(data);
    at += 2 + length;
  }
  return header;
}

PictureHeader webp_header(Bytes bytes) {
  PictureHeader header{"WebP"};
  header.whole = bytes.size() >= std::uint64_t{8} + number(bytes, 4, 4, false);
  for (std::size_t at = 12; at + 8 <= bytes.size();) {
    const std::size_t length = number(bytes, at + 4, 4, false), start = at + 8;
    if (has(bytes, at, "EXIF"))
      header.orientation = orientation(bytes.subspan(start, std::min(length, bytes.size() - start)));
    if (has(bytes, at, "VP8X"))
      header.width = number(bytes, start + 4, 3, false) + 1, header.height = number(bytes, start + 7, 3, false) + 1;
    at = start + length + length % 2;
  }
  return header;
}

}  // namespace

PictureHeader picture_header(Bytes bytes) {
  if (has(bytes, 0, png_signature)) return png_header(bytes);
  if (has(bytes, 0, "\xFF\xD8\xFF")) return jpeg_header(bytes);
  if (has(bytes, 0, "RIFF") && has(bytes, 8, "WEBP")) return webp_header(bytes);
  PictureHeader header;
  if (const auto width = tiff_tag(bytes, 256)) {
    header.format = "TIFF";
    header.width = *width, header.height = tiff_tag(bytes, 257).value_or(0);
  } else if (has(bytes, 0, "BM") && bytes.size() >= 26) {
    header.format = "BMP";
    header.width = number(bytes, 18, 4, false);
    const auto height = static_cast<std::int32_t>(number(bytes, 22, 4, false));  // negative: from top to bottom
    header.height = height < 0 ? -std::int64_t{height} : height;
  }
  return header;
}

std::vector<std::uint8_t> bare_png(Bytes bytes) {
  std::vector<std::uint8_t> out(png_signature.begin(), png_signature.end());
  out.reserve(bytes.size());
  for_each_chunk(bytes, [&](std::string_view type, Bytes chunk, Bytes) {
    const bool needed = type == "tRNS" || (type[0] & 0x20) == 0;  // a capital: no decoder may skip it
    if (needed) out.insert(out.end(), chunk.begin(), chunk.end());
  });
  return out;
}

std::vector<std::uint8_t> with_text(Bytes png, const std::string& keyword, const std::string& text) {
  const auto append = [](std::vector<std::uint8_t>& to, std::uint32_t v) {
    for (int shift = 24; shift >= 0; shift -= 8) to.push_back(static_cast<std::uint8_t>(v >> shift));
  };
  std::string body = "tEXt" + keyword;
  body.push_back('\0');
  body += text;
  std::uint32_t crc = 0xFFFFFFFF;  // of type and data, as every chunk of a PNG has it
  for (const char byte : body) {
    crc ^= static_cast<std::uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
  }
  const std::size_t after_header = png_signature.size() + 25;  // IHDR comes first and is always 25 bytes
  std::vector<std::uint8_t> out(png.begin(), png.begin() + static_cast<std::ptrdiff_t>(after_header));
  append(out, static_cast<std::uint32_t>(body.size() - 4));
  for (const char byte : body) out.push_back(static_cast<std::uint8_t>(byte));
  append(out, ~crc);
  out.insert(out.end(), png.begin() + static_cast<std::ptrdiff_t>(after_header), png.end());
  return out;
}

}  // namespace fathom
