#include "samples/pfm.hpp"

#include <bit>
#include <charconv>
#include <cstring>
#include <span>
#include <string>

#include "fathom/error.hpp"
#include "samples/files.hpp"

namespace fathom {
namespace {

static_assert(std::endian::native == std::endian::little, "rows are copied as they stand");

float swapped(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return std::bit_cast<float>(bits >> 24 | (bits >> 8 & 0xFF00) | (bits << 8 & 0xFF0000) | bits << 24);
}

}  // namespace

void write_pfm(const std::filesystem::path& path, int width, int height, const std::vector<float>& values) {
  if (width < 1 || height < 1 || values.size() != static_cast<std::size_t>(width) * static_cast<std::size_t>(height))
    throw Error(ErrorKind::image, "cannot write " + path.string() + ": its sizes and values do not agree");
  const std::string header = "Pf\n" + std::to_string(width) + " " + std::to_string(height) + "\n-1.0\n";
  std::vector<std::uint8_t> bytes(header.begin(), header.end());
  const std::size_t row_bytes = static_cast<std::size_t>(width) * 4;
  bytes.resize(header.size() + row_bytes * static_cast<std::size_t>(height));
  for (int y = 0; y < height; ++y)
    std::memcpy(bytes.data() + header.size() + row_bytes * static_cast<std::size_t>(height - 1 - y),
                values.data() + static_cast<std::size_t>(width) * static_cast<std::size_t>(y), row_bytes);
  write_file(path, bytes);
}

FloatMap read_pfm(const std::filesystem::path& path) {
  const std::vector<std::uint8_t> bytes = read_file(path);
  const auto refuse = [&](const std::string& what) {
    return Error(ErrorKind::image, path.string() + " is no PFM: " + what);
  };

  // Four words, each ended by one blank.
  std::size_t at = 0;
  const auto word = [&] {
    std::string text;
    while (at < bytes.size() && !std::isspace(bytes[at]) && text.size() < 32) text += static_cast<char>(bytes[at++]);
    if (at < bytes.size()) ++at;
    return text;
  };
  const auto number = [&](const std::string& text, auto value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() ? value : decltype(value){0};
  };
  const std::string kind = word();
  if (kind == "PF") throw refuse("it has three channels, a depth map has one");
  if (kind != "Pf") throw refuse("it does not begin with \"Pf\"");
  FloatMap map;
  map.width = number(word(), int{});
  map.height = number(word(), int{});
  if (map.width < 1 || map.height < 1) throw refuse("its sizes are not whole numbers above 0");
  const double scale = number(word(), double{});
  if (scale == 0) throw refuse("the sign of its scale should tell the byte order");
  const std::uint64_t expected = static_cast<std::uint64_t>(map.width) * static_cast<std::uint64_t>(map.height) * 4;
  if (bytes.size() - at != expected)
    throw refuse(std::to_string(map.width) + "x" + std::to_string(map.height) + " values take " +
                 std::to_string(expected) + " bytes, " + std::to_string(bytes.size() - at) + " follow its header");
  map.values.resize(expected / 4);
  const std::size_t row_bytes = static_cast<std::size_t>(map.width) * 4;
  for (int y = 0; y < map.height; ++y)
    std::memcpy(map.values.data() + static_cast<std::size_t>(map.width) * static_cast<std::size_t>(y),
                bytes.data() + at + row_bytes * static_cast<std::size_t>(map.height - 1 - y), row_bytes);
  if (scale > 0)
    for (float& v : map.values) v = swapped(v);
  return map;
}

}  // namespace fathom
