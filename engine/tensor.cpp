#include "engine/tensor.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <utility>

#include "fathom/error.hpp"

namespace fathom {

std::int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f32: return 4;
    case DType::f16: return 2;
    case DType::u8: return 1;
    case DType::i64: return 8;
  }
  return 0;
}

const char* to_string(DType dtype) {
  switch (dtype) {
    case DType::f32: return "f32";
    case DType::f16: return "f16";
    case DType::u8: return "u8";
    case DType::i64: return "i64";
  }
  return "?";
}

Desc Desc::nhwc(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w, DType dtype) {
  return {dtype, 4, {n, c, h, w}, {c * h * w, 1, w * c, c}};
}

Desc Desc::dense(std::initializer_list<std::int64_t> extents, DType dtype) {
  if (extents.size() > 4) throw Error(ErrorKind::shape, "a tensor has at most 4 dimensions");
  Desc d;
  d.dtype = dtype;
  for (std::int64_t e : extents) d.extent[d.rank++] = e;
  std::int64_t step = 1;
  for (int r = d.rank - 1; r >= 0; --r) d.stride[r] = step, step *= d.extent[r];
  return d;
}

std::int64_t Desc::elements() const {
  std::int64_t count = 1;
  for (int r = 0; r < rank; ++r) count *= extent[r];
  return count;
}

std::int64_t Desc::span_bytes() const {
  std::int64_t last = 0;
  for (int r = 0; r < rank; ++r) {
    if (extent[r] == 0) return 0;
    last += (extent[r] - 1) * stride[r];
  }
  return (last + 1) * size_of(dtype);
}

std::int64_t Desc::storage_bytes() const {
  const std::int64_t padding = rank == 4 && stride[1] == 1 ? std::max<std::int64_t>(stride[3] - extent[1], 0) : 0;
  return span_bytes() + (padding && elements() ? padding * size_of(dtype) : 0);
}

namespace {
// Whether memory runs without gaps when the dimensions are walked in the given order, innermost first.
bool dense_in_order(const Desc& d, std::initializer_list<int> innermost_first) {
  std::int64_t step = 1;
  for (int r : innermost_first) {
    if (d.extent[r] != 1 && d.stride[r] != step) return false;
    step *= d.extent[r];
  }
  return true;
}
}  // namespace

bool Desc::is_dense_nhwc() const { return rank == 4 && dense_in_order(*this, {1, 3, 2, 0}); }

bool Desc::is_dense() const {
  std::int64_t step = 1;
  for (int r = rank - 1; r >= 0; --r) {
    if (extent[r] != 1 && stride[r] != step) return false;
    step *= extent[r];
  }
  return true;
}

std::string shape_text(const Desc& desc) {
  std::string text = "(";
  for (int r = 0; r < desc.rank; ++r) text += (r ? ", " : "") + std::to_string(desc.extent[r]);
  return text + ")";
}

Buffer::Buffer(std::int64_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  constexpr std::int64_t alignment = 64;
  const std::int64_t rounded = (bytes + alignment - 1) / alignment * alignment;
  data_ = bytes < 0 ? nullptr : static_cast<std::byte*>(std::aligned_alloc(alignment, rounded));
  if (!data_) throw Error(ErrorKind::memory, "out of memory: " + std::to_string(bytes) + " bytes of host memory");
}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Buffer::~Buffer() { std::free(data_); }

Desc in_halves(const Desc& map) {
  if (map.c() == 1 || map.h() * map.w() == 1) return map;
  const std::int64_t pixel = map.c() < 8 ? map.c() : (map.c() + 7) / 8 * 8;
  return {DType::f16, 4, map.extent, {pixel * map.h() * map.w(), 1, pixel * map.w(), pixel}};
}

float half_to_float(std::uint16_t bits) {
  const std::uint32_t sign = std::uint32_t(bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 31u, fraction = bits & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | fraction << 13);
  if (exponent == 0) return std::bit_cast<float>(sign) + (sign ? -1.f : 1.f) * static_cast<float>(fraction) * 0x1p-24f;
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

std::uint16_t float_to_half(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint16_t sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7e00u;    // NaN
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u;   // rounds past 65504
  if (magnitude < 0x38800000u) {                         // below the smallest normal half: a multiple of 2^-24
    const float scaled = std::bit_cast<float>(magnitude) * 0x1p24f;
    std::uint32_t whole = static_cast<std::uint32_t>(scaled);
    const float rest = scaled - static_cast<float>(whole);
    whole += rest > 0.5f || (rest == 0.5f && (whole & 1));
    return static_cast<std::uint16_t>(sign | whole);
  }
  const std::uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1);
  return static_cast<std::uint16_t>(sign | (rounded - 0x38000000u) >> 13);
}

}  // namespace fathom
