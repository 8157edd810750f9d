#include "samples/video_header.hpp"

#include <bit>
#include <cstdint>
#include <fstream>
#include <string>

namespace fathom {
namespace {

class Bytes {
 public:
  explicit Bytes(const std::filesystem::path& path) : file_(path, std::ios::binary) {
    std::error_code none;
    size = std::filesystem::file_size(path, none);
    if (none) size = 0;
  }
  // Empty where the file ends earlier.
  std::string at(std::uint64_t place, std::size_t count) {
    std::string bytes(count, '\0');
    if (place > size || size - place < count ||
        !file_.seekg(static_cast<std::streamoff>(place)).read(bytes.data(), count))
      bytes.clear(), file_.clear();
    return bytes;
  }
  std::uint64_t little_endian(std::uint64_t place, std::size_t count) {
    const std::string bytes = at(place, count);
    std::uint64_t value = 0;
    for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<std::uint8_t>(bytes[i]);
    return value;
  }
  std::uint64_t big_endian(std::uint64_t place, std::size_t count) {
    std::uint64_t value = 0;
    for (const char c : at(place, count)) value = value << 8 | static_cast<std::uint8_t>(c);
    return value;
  }

  std::uint64_t size = 0;

 private:
  std::ifstream file_;
};

// AVI: "RIFF", size, "AVI "; files above 1 GiB have several. A size of 0 or of all ones was never filled in.
bool riff_is_cut(Bytes& file) {
  for (std::uint64_t place = 0; file.at(place, 4) == "RIFF";) {
    const std::uint64_t length = file.little_endian(place + 4, 4);
    if (length == 0 || length == 0xFFFFFFFF) return false;
    place += 8 + length;
    if (place > file.size) return true;
  }
  return false;
}

// MP4 and MOV: size, type; size 1: it follows in 64 bits, 0: up to the end.
bool boxes_are_cut(Bytes& file) {
  for (std::uint64_t place = 0; place < file.size;) {
    std::uint64_t length = file.big_endian(place, 4);
    if (length == 1) length = file.big_endian(place + 8, 8);
    if (length < 8) return false;
    if (length > file.size - place) return true;
    place += length;
  }
  return false;
}

// Matroska and WebM: an EBML header, then one segment. Lengths have as many leading zero bits as further bytes; all
// ones: not known.
bool segment_is_cut(Bytes& file) {
  std::uint64_t place = 0;
  for (const std::uint64_t id : {0x1A45DFA3, 0x18538067}) {
    if (file.big_endian(place, 4) != id) return false;
    const auto first = static_cast<std::uint8_t>(file.big_endian(place + 4, 1));
    if (first == 0) return false;
    const int bytes = std::countl_zero(first) + 1;
    const std::uint64_t ones = (std::uint64_t{1} << 7 * bytes) - 1;
    const std::uint64_t length = file.big_endian(place + 4, static_cast<std::size_t>(bytes)) & ones;
    if (length == ones) return false;
    place += 4 + static_cast<std::uint64_t>(bytes) + length;
    if (place > file.size || place < length) return true;
  }
  return false;
}

}  // namespace

bool is_cut_off(const std::filesystem::path& path) {
  Bytes file(path);
  if (file.at(0, 4) == "RIFF") return riff_is_cut(file);
  if (file.big_endian(0, 4) == 0x1A45DFA3) return segment_is_cut(file);
  const std::string kind = file.at(4, 4);
  for (const char* known : {"ftyp", "moov", "mdat", "wide", "free", "skip"})
    if (kind == known) return boxes_are_cut(file);
  return false;
}

}  // namespace fathom
