// What a tensor is (Desc), where it lies (Tensor), how a kernel sees it (View), and who owns it (Buffer).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#ifdef __CUDACC__
#define FATHOM_BOTH __host__ __device__
#else
#define FATHOM_BOTH
#endif

namespace fathom {

enum class DType : std::uint8_t { f32, f16, u8, i64 };

std::int64_t size_of(DType dtype);  // bytes of one element
const char* to_string(DType dtype);

// Extents in logical order, N, C, H, W for activations and O, I, H, W for weights, whatever the order in memory.
// Memory order lives in the strides alone (in elements): activations are channels-last on both devices.
struct Desc {
  DType dtype = DType::f32;
  int rank = 0;
  std::array<std::int64_t, 4> extent{1, 1, 1, 1};
  std::array<std::int64_t, 4> stride{0, 0, 0, 0};

  // (N, C, H, W) in channels-last order without gaps.
  static Desc nhwc(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w, DType dtype = DType::f32);
  // Row-major in logical order without gaps: weights, vectors, what files hold.
  static Desc dense(std::initializer_list<std::int64_t> extents, DType dtype = DType::f32);

  std::int64_t n() const { return extent[0]; }
  std::int64_t c() const { return extent[1]; }
  std::int64_t h() const { return extent[2]; }
  std::int64_t w() const { return extent[3]; }
  std::int64_t elements() const;
  std::int64_t span_bytes() const;  // from the first byte to just past the last one, gaps included
  std::int64_t storage_bytes() const;  // the same, with the padding of the last pixel
  bool is_dense_nhwc() const;       // channels-last without gaps (strides of extents of 1 do not matter)
  bool is_dense() const;            // row-major in logical order without gaps
  bool same_extents(const Desc& other) const { return rank == other.rank && extent == other.extent; }
  bool operator==(const Desc&) const = default;
};

std::string shape_text(const Desc& desc);  // "(1, 64, 96, 320)"

struct Tensor {
  Desc desc;
  void* data = nullptr;

  template <class T>
  T* as() const { return static_cast<T*>(data); }
};

// x(n, c, h, w): indexes by the strides, checks nothing.
template <class T, int R>
struct View {
  T* data;
  std::int64_t extent[R];
  std::int64_t stride[R];

  template <class... I>
  FATHOM_BOTH T& operator()(I... index) const {
    static_assert(sizeof...(I) == R);
    const std::int64_t at[R] = {static_cast<std::int64_t>(index)...};
    std::int64_t offset = 0;
    for (int r = 0; r < R; ++r) offset += at[r] * stride[r];
    return data[offset];
  }
};

template <class T, int R = 4>
View<T, R> view(const Desc& desc, const void* data) {
  View<T, R> v{static_cast<T*>(const_cast<void*>(data)), {}, {}};
  for (int r = 0; r < R; ++r) v.extent[r] = desc.extent[r], v.stride[r] = desc.stride[r];
  return v;
}

// How a GPU stores a map in fp16: in halves, those of 8 channels and more with each pixel padded to a multiple of 8;
// one-channel maps (depth, disparity, guides), means and gates stay float32.
Desc in_halves(const Desc& map);

// Bytes of host memory, aligned to 64, owned; throws Error{memory} when there are none.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::int64_t bytes);
  Buffer(Buffer&& other) noexcept : data_(other.data_), bytes_(other.bytes_) { other.data_ = nullptr, other.bytes_ = 0; }
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  std::byte* data() const { return data_; }
  std::int64_t bytes() const { return bytes_; }
  template <class T>
  T* as() const { return reinterpret_cast<T*>(data_); }

 private:
  std::byte* data_ = nullptr;
  std::int64_t bytes_ = 0;
};

float half_to_float(std::uint16_t bits);
std::uint16_t float_to_half(float value);  // rounds to nearest even; overflow becomes infinity

}  // namespace fathom
