#include "samples/npy.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <vector>

#include "engine/tensor.hpp"
#include "fathom/error.hpp"
#include "samples/files.hpp"

namespace fathom {
namespace {

struct Header {
  std::string dtype;
  bool column_major = false;
  std::vector<std::int64_t> shape;
};

// The dictionary as NumPy writes it: {'descr': '<f4', 'fortran_order': False, 'shape': (480, 640), }
std::optional<Header> parse(const std::string& text) {
  const auto after = [&](const std::string& key) -> std::optional<std::size_t> {
    const std::size_t found = text.find("'" + key + "':");
    if (found == std::string::npos) return std::nullopt;
    return text.find_first_not_of(' ', found + key.size() + 3);
  };
  Header header;
  const auto descr = after("descr"), order = after("fortran_order"), shape = after("shape");
  if (!descr || !order || !shape) return std::nullopt;
  if (*descr >= text.size() || text[*descr] != '\'') return std::nullopt;  // a list: several fields in each element
  const std::size_t end = text.find('\'', *descr + 1);
  if (end == std::string::npos) return std::nullopt;
  header.dtype = text.substr(*descr + 1, end - *descr - 1);
  header.column_major = text.compare(*order, 4, "True") == 0;
  if (*shape >= text.size() || text[*shape] != '(') return std::nullopt;
  for (std::size_t at = *shape + 1; at < text.size() && text[at] != ')';) {
    if (text[at] == ' ' || text[at] == ',') {
      ++at;
      continue;
    }
    std::int64_t extent = 0;
    int digits = 0;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9' && digits < 10; ++at, ++digits)
      extent = extent * 10 + (text[at] - '0');
    if (digits == 0 || digits == 10) return std::nullopt;
    header.shape.push_back(extent);
  }
  return header;
}

// The element's bytes, in the machine's order, as a float.
float value(const std::string& kind, const std::uint8_t* bytes) {
  const auto as = [&](auto v) {
    std::memcpy(&v, bytes, sizeof v);
    return v;
  };
  if (kind == "f4") return as(float{});
  if (kind == "f8") return static_cast<float>(as(double{}));
  if (kind == "f2") return half_to_float(as(std::uint16_t{}));
  if (kind == "u2") return as(std::uint16_t{});
  if (kind == "i4") return static_cast<float>(as(std::int32_t{}));
  return bytes[0];  // u1
}

}  // namespace

NpyMap read_npy(const std::filesystem::path& path) {
  const std::vector<std::uint8_t> bytes = read_file(path);
  const auto refuse = [&](const std::string& what) { return Error(ErrorKind::image, path.string() + ": " + what); };
  if (bytes.size() < 10 || std::memcmp(bytes.data(), "\x93NUMPY", 6) != 0) throw refuse("not an array file of NumPy");
  const int version = bytes[6];
  if (version < 1 || version > 3 || (version > 1 && bytes.size() < 12))
    throw refuse("an array file of an unknown version");
  const std::size_t start = version == 1 ? 10 : 12;
  std::uint64_t length = 0;
  for (std::size_t i = start; i-- > 8;) length = length << 8 | bytes[i];
  if (length > bytes.size() - start || length > 65536) throw refuse("cut off inside its header");
  const auto header = parse(std::string(bytes.begin() + static_cast<std::ptrdiff_t>(start),
                                        bytes.begin() + static_cast<std::ptrdiff_t>(start + length)));
  if (!header) throw refuse("its header does not read as NumPy writes it");

  const std::string kind = header->dtype.size() == 3 ? header->dtype.substr(1) : "";
  const char* const kinds[] = {"f2", "f4", "f8", "u1", "u2", "i4"};
  if (std::find(std::begin(kinds), std::end(kinds), kind) == std::end(kinds))
    throw refuse("its elements are of type " + header->dtype +
                 ", not float16, float32, float64, uint8, uint16 or int32");
  const auto element = static_cast<std::size_t>(kind[1] - '0');

  std::vector<std::int64_t> extents;
  for (const std::int64_t extent : header->shape)
    if (extent != 1) extents.push_back(extent);
  while (extents.size() < 2) extents.insert(extents.begin(), 1);
  if (extents.size() > 2 || extents[0] < 1 || extents[1] < 1 || extents[0] > 1 << 20 || extents[1] > 1 << 20)
    throw refuse("its shape is not one of a map, (height, width)");
  NpyMap result{{static_cast<int>(extents[1]), static_cast<int>(extents[0]), {}}, header->dtype};
  const std::uint64_t count = static_cast<std::uint64_t>(extents[0]) * static_cast<std::uint64_t>(extents[1]);
  const std::size_t first = start + static_cast<std::size_t>(length);
  if (bytes.size() - first != count * element)
    throw refuse("its shape takes " + std::to_string(count * element) + " bytes, " +
                 std::to_string(bytes.size() - first) + " follow its header");

  result.map.values.resize(count);
  const bool swap = header->dtype[0] == '>';
  for (std::int64_t y = 0; y < extents[0]; ++y)
    for (std::int64_t x = 0; x < extents[1]; ++x) {
      const auto from = static_cast<std::size_t>(header->column_major ? x * extents[0] + y : y * extents[1] + x);
      std::uint8_t one[8];
      std::memcpy(one, bytes.data() + first + from * element, element);
      if (swap) std::reverse(one, one + element);
      result.map.values[static_cast<std::size_t>(y * extents[1] + x)] = value(kind, one);
    }
  return result;
}

}  // namespace fathom
