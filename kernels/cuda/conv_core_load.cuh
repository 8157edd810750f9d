// The loader: the input pixels that a block's tile sees, and the weights that go with them, into a stage.
#pragma once
#include "conv_core.cuh"

namespace fathom::gpu {

// ---- where a source is read: one table per source and axis, made once per block by the formulas of Axis, so that any
// resize and any padding is a look-up. In elements from the image's first; -1: a zero of the padding; kUnseen: what
// only the outer taps would see, of a source that is read by the middle one.
inline constexpr int kUnseen = -2;

struct PlaceTables {
  Place* first;
  int rows, columns;  // entries per source

  __device__ PlaceTables(const ConvTiling& t, unsigned char* shared)
      : first(reinterpret_cast<Place*>(shared)),
        rows(t.rows.groups * t.rows.places()),
        columns(t.columns.groups * t.columns.places()) {}
  __device__ const Place* row(int source) const { return first + source * (rows + columns); }
  __device__ const Place* column(int source) const { return row(source) + rows; }

  static __device__ Place entry(const TapAxis& axis, const Axis& source, bool centre, int first_output, int k,
                                int stride) {
    const int places = axis.places(), place = k % places, input = axis.input(first_output, k / places, place);
    if (input > axis.last) return {};  // the tile overhangs the map: nobody uses this
    if (centre) {
      const int from_first = place - axis.taps / 2 * axis.tap_pitch;
      if (from_first < 0 || from_first > (axis.outputs - 1) * axis.pitch || from_first % axis.pitch) return {kUnseen};
    }
    Place p = source.place(input);
    if (p.low >= 0) p.low *= stride, p.high *= stride;
    return p;
  }
  __device__ void fill(const ConvCore& conv, const BlockPlace& block) const {
    const int each = rows + columns;
    for (int i = static_cast<int>(threadIdx.x); i < conv.maps.sources * each; i += static_cast<int>(blockDim.x)) {
      const int k = i / each, entry_of = i % each;
      const ConvSource& s = conv.maps.source[k];
      first[i] = entry_of < rows ? entry(conv.tiling.rows, s.rows, s.centre, block.row + block.phase_h, entry_of, s.x.bytes.stride[2])
                                 : entry(conv.tiling.columns, s.columns, s.centre, block.column + block.phase_w, entry_of - rows,
                                         s.x.bytes.stride[3]);
    }
  }
};

// The chunks of a stage that one thread loads: always the same chunk of pixels at equal distances.
struct LoadWalk {
  int chunk, pixel, step;           // pixel: the first
  int row, column, step_h, step_w;  // the same in two dimensions

  __device__ LoadWalk(const ConvTiling& t) {
    const int chunks_log2 = t.log2_planes + 1, width = t.columns.places();
    chunk = static_cast<int>(threadIdx.x) & ((1 << chunks_log2) - 1);
    pixel = static_cast<int>(threadIdx.x) >> chunks_log2, step = static_cast<int>(blockDim.x) >> chunks_log2;
    row = pixel / width, column = pixel % width;
    step_h = step / width, step_w = step % width;
  }
  __device__ void advance(int width) {
    pixel += step, row += step_h, column += step_w;
    if (column >= width) column -= width, ++row;
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

  __device__ void copy_16(unsigned char* to, bool inside, int at, int c) const {
    const T* from = reinterpret_cast<const T*>(image);
    const bool some = inside && c < how.stored;
    cp_async<16>(to, some ? from + at + c : from, some ? 16 : 0);
  }
  __device__ void copy_4(unsigned char* to, bool inside, int at, int c) const {
    const float* from = reinterpret_cast<const float*>(image);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const bool some = inside && c + i < s.channels;
      cp_async<4>(to + 4 * i, some ? from + at + c + i : from, some ? 4 : 0);
    }
  }
  // Interpolated, or converted: two pixels are asked for at once, even where they are the same.
  __device__ void vectors(unsigned char* to, bool inside, const Place& row, const Place& column, int c) const {
    Vec<float, kN> v = {};
    if (inside && c < how.stored) {
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

// The activations of a stage.
template <class T>
__device__ inline void load_activations(const ConvCore& conv, const PlaceTables& tables, LoadWalk walk,
                                        const StageCursor& at, int image, unsigned char* stage) {
  const ConvTiling& t = conv.tiling;
  const SourceReader<T> reader(conv.maps.source[at.source], conv.load[at.source], image);
  const int width = t.columns.places(), pixels = width * t.rows.places();
  const Place* rows = tables.row(at.source) + at.group_h * t.rows.places();
  const Place* columns = tables.column(at.source) + at.group_w * width;
  const int plane = walk.chunk / 2, c = (at.plane * 2 + walk.chunk) * SourceReader<T>::kN;
  if (plane >= at.planes(conv)) return;
  stage += plane * t.plane_bytes;
  for (; walk.pixel < pixels; walk.advance(width)) {
    const Place &row = rows[walk.row], &column = columns[walk.column];
    if (row.low == kUnseen || column.low == kUnseen) continue;
    const bool inside = row.low >= 0 && column.low >= 0;
    unsigned char* to = stage + chunk_place(walk.pixel, walk.chunk % 2);
    const LoadKind kind = reader.how.kind;
    if (kind == LoadKind::copy_16) reader.copy_16(to, inside, row.low + column.low, c);
    if constexpr (sizeof(T) == 4) {
      if (kind == LoadKind::copy_4) reader.copy_4(to, inside, row.low + column.low, c);
    }
    if (kind == LoadKind::vectors) reader.vectors(to, inside, row, column, c);
    if (kind == LoadKind::singles) reader.singles(to, inside, row, column, c);
  }
}

// The weights of a stage: `bytes` of them, already as they shall stand.
__device__ inline void load_weights(const unsigned char* from, unsigned char* stage, int bytes) {
  for (int i = static_cast<int>(threadIdx.x) * 16; i < bytes; i += static_cast<int>(blockDim.x) * 16)
    cp_async<16>(stage + i, from + i);
}

}  // namespace fathom::gpu
