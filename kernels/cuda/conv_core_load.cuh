// The loader: the input pixels that a block's tile sees, and the weights that go with them, into a stage.
#pragma once
#include "conv_core.cuh"

namespace fathom::gpu {

// ---- where a source is read: one table per source and axis, made once per block by the formulas of Axis, so that any
// resize and any padding is a look-up. In elements from the image's first; -1: a zero, of the padding or where only the
// outer taps see, of a source that is read by the middle one.
struct PlaceTables {
  Place* first;
  int rows, columns;  // entries per source

  __device__ PlaceTables(const ConvTiling& t, unsigned char* shared)
      : first(reinterpret_cast<Place*>(shared)),
        rows(t.rows.groups * t.rows.places),
        columns(t.columns.groups * t.columns.places) {}
  // Less than 0, also when it is added to a place inside; added to itself it is no overflow; and what is copied from so
  // far away is still aligned, as a copy's address must be even where zeros are written.
  static constexpr int kOutside = -(1 << 30);
  __device__ const Place* row(int source) const { return first + source * (rows + columns); }
  __device__ const Place* column(int source) const { return row(source) + rows; }

  static __device__ Place entry(const TapAxis& axis, const Axis& source, bool centre, int first_output, int k,
                                int stride) {
    const int place = k % axis.places, input = axis.input(first_output, k / axis.places, place);
    if (input > axis.last) return {kOutside, kOutside};  // the tile overhangs the map: nobody uses this
    if (centre) {
      const int from_first = place - axis.taps / 2 * axis.tap_pitch;
      if (from_first < 0 || from_first > (axis.outputs - 1) * axis.pitch || from_first % axis.pitch)
        return {kOutside, kOutside};
    }
    Place p = source.place(input);
    if (p.low < 0) return {kOutside, kOutside};
    p.low *= stride, p.high *= stride;
    return p;
  }
  __device__ void fill(const ConvCore& conv, const BlockPlace& block) const {
    const int each = rows + columns;
    for (int i = static_cast<int>(threadIdx.x); i < conv.maps.sources * each; i += static_cast<int>(blockDim.x)) {
      const int k = i / each, entry_of = i % each;
      const ConvSource& s = conv.maps.source[k];
      first[i] = entry_of < rows ? entry(conv.tiling.rows, s.rows, s.centre, block.row + block.phase_h, entry_of,
                                         s.x.bytes.stride[2])
                                 : entry(conv.tiling.columns, s.columns, s.centre, block.column + block.phase_w,
                                         entry_of - rows, s.x.bytes.stride[3]);
    }
  }
};

// The chunks of a stage that one thread loads: always the same chunk of pixels at equal distances.
struct LoadWalk {
  int chunk, to, step;              // where the first pixel goes and how much farther the next, in bytes
  int row, column, step_h, step_w;  // which these are in the tables of places, in bytes

  __device__ LoadWalk(const ConvTiling& t, int threads) {
    constexpr int kEntry = sizeof(Place);
    const int chunks_log2 = t.log2_planes + 1, width = t.columns.places;
    chunk = static_cast<int>(threadIdx.x) & ((1 << chunks_log2) - 1);
    const int pixel = static_cast<int>(threadIdx.x) >> chunks_log2, pixels = threads >> chunks_log2;
    to = pixel * kChunkBytes + chunk * t.chunk_bytes, step = pixels * kChunkBytes;
    row = pixel / width * kEntry, column = pixel % width * kEntry;
    step_h = pixels / width * kEntry, step_w = pixels % width * kEntry;
  }
};

// One source of one image, read a chunk (kN channels of a pixel, c the first) at a time into shared memory, where it is
// of the type T that the product computes on. Each kind of load is a function of its own.
template <class T>
struct SourceReader {
  static constexpr int kN = kChunkBytes / static_cast<int>(sizeof(T));
  const ConvSource& s;
  const SourceLoad& how;
  const unsigned char* image;

  __device__ SourceReader(const ConvSource& s, const SourceLoad& how, int n) : s(s), how(how) {
    const int element = s.x.dtype == DType::f32 ? 4 : s.x.dtype == DType::f16 ? 2 : 1;
    image = s.x.bytes.data + n * s.x.bytes.outer_stride * element;
  }

  // By copies, or a zero if sign < 0: `from` is the image's first element of this thread's channels.
  __device__ void copy_16(unsigned char* to, int sign, const T* from, int at) const {
    cp_async_or_zeros<16>(to, from + at, sign);
  }
  __device__ void copy_4(unsigned char* to, int sign, const T* from, int at, int c) const {
#pragma unroll
    for (int i = 0; i < 4; ++i) cp_async_or_zeros<4>(to + 4 * i, from + at + i, sign | (s.channels - 1 - c - i));
  }
  // Interpolated, or converted: two pixels are asked for at once, even where they are the same.
  __device__ void vectors(unsigned char* to, bool inside, const Place& row, const Place& column, int c) const {
    Vec<float, kN> v = {};
    if (inside) {
      v = along(row.low + c, column);
      if (row.t != 0) blend(v, along(row.high + c, column), row.t);
    }
    store_vec(reinterpret_cast<T*>(to), from_float<T>(v));
  }
  // Channel by channel: photographs, and maps of a few channels.
  __device__ void singles(unsigned char* to, bool inside, const Place& row, const Place& column, int c) const {
#pragma unroll 1
    for (int i = 0; i < kN; ++i) {
      float v = 0;
      if (inside && c + i < s.channels) {
        Vec<float, 1> above = {single(row.low + column.low + c + i)}, below = {single(row.high + column.low + c + i)};
        blend(above, {single(row.low + column.high + c + i)}, column.t);
        blend(below, {single(row.high + column.high + c + i)}, column.t);
        blend(above, below, row.t);
        v = s.x.dtype == DType::u8 ? s.scale[c + i] * above[0] + s.shift[c + i] : above[0];
      }
      reinterpret_cast<T*>(to)[i] = from_float<T>(v);
    }
  }

 private:
  __device__ Vec<float, kN> along(int at, const Place& column) const {
    Vec<float, kN> left = vector(at + column.low);
    blend(left, vector(at + column.high), column.t);
    return left;
  }
  __device__ Vec<float, kN> vector(int at) const {
    if (s.x.dtype == DType::f16) return to_float(load_vec_readonly<kN>(reinterpret_cast<const __half*>(image) + at));
    return load_vec_readonly<kN>(reinterpret_cast<const float*>(image) + at);
  }
  __device__ float single(int at) const {
    if (s.x.dtype == DType::u8) return to_float(image[at]);
    return s.x.dtype == DType::f16 ? to_float(reinterpret_cast<const __half*>(image)[at])
                                   : reinterpret_cast<const float*>(image)[at];
  }
};

// The activations of a stage. What a source is read by is asked for once, not for each chunk.
template <class T>
__device__ inline void load_activations(const ConvCore& conv, const PlaceTables& tables, LoadWalk walk,
                                        const StageCursor& at, int image, unsigned char* stage) {
  const ConvTiling& t = conv.tiling;
  const SourceReader<T> reader(conv.maps.source[at.source], conv.load[at.source], image);
  const int c = (at.plane * 2 + walk.chunk) * SourceReader<T>::kN;
  if (walk.chunk >= 2 * at.planes(conv)) return;
  const auto bytes_of = [](const Place* place) { return reinterpret_cast<const unsigned char*>(place); };
  const auto place_at = [](const unsigned char* bytes) -> const Place& {
    return *reinterpret_cast<const Place*>(bytes);
  };
  const unsigned char* const rows = bytes_of(tables.row(at.source) + at.group_h * t.rows.places);
  const unsigned char* const columns = bytes_of(tables.column(at.source) + at.group_w * t.columns.places);
  const int width = t.columns.places * static_cast<int>(sizeof(Place));
  const int end = walk.chunk * t.chunk_bytes + t.rows.places * t.columns.places * kChunkBytes;
  // f(where it goes, row, column) for every pixel that this thread loads
  const auto for_each = [&](auto&& f) {
#pragma unroll 1
    for (; walk.to < end; walk.to += walk.step) {
      f(stage + walk.to, place_at(rows + walk.row), place_at(columns + walk.column));
      walk.row += walk.step_h, walk.column += walk.step_w;
      if (walk.column >= width) walk.column -= width, walk.row += static_cast<int>(sizeof(Place));
    }
  };
  const int outside = kept(c < reader.how.stored ? 0 : -1);  // beyond the last channel there are zeros
  const auto sign = [&](const Place& row, const Place& column) { return row.low | column.low | outside; };
  const T* const from = kept(reinterpret_cast<const T*>(reader.image) + c);
  const LoadKind kind = reader.how.kind;
  if (kind == LoadKind::copy_16)
    return for_each([&](unsigned char* to, const Place& row, const Place& column) {
      reader.copy_16(to, sign(row, column), from, row.low + column.low);
    });
  if constexpr (sizeof(T) == 4) {
    if (kind == LoadKind::copy_4)
      return for_each([&](unsigned char* to, const Place& row, const Place& column) {
        reader.copy_4(to, sign(row, column), from, row.low + column.low, c);
      });
  }
  if (kind == LoadKind::vectors)
    return for_each([&](unsigned char* to, const Place& row, const Place& column) {
      reader.vectors(to, sign(row, column) >= 0, row, column, c);
    });
  for_each([&](unsigned char* to, const Place& row, const Place& column) {
    reader.singles(to, sign(row, column) >= 0, row, column, c);
  });
}

// The weights of a stage: `bytes` of them, already as they shall stand.
template <int Threads>
__device__ inline void load_weights(const unsigned char* from, unsigned char* stage, int bytes) {
  const int first = static_cast<int>(threadIdx.x) * 16;
  from += first, stage += first;
#pragma unroll 4
  for (int i = first; i < bytes; i += Threads * 16, from += Threads * 16, stage += Threads * 16)
    cp_async<16>(stage, from);
}

}  // namespace fathom::gpu
