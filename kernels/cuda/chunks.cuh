// Kernels in which one thread makes `Width` neighbouring channels of one pixel of the output, 16 bytes where the maps
// allow it. An op is then a struct of its maps and numbers with
//   template <int Width> __device__ void run(const Chunk& at) const;
// that reads like its formula. Maps may be floats or halves in any mixture; sums run in float32.
#pragma once
#include <algorithm>
#include <initializer_list>
#include <string>
#include <type_traits>

#include "activation.cuh"
#include "divisor.cuh"
#include "engine/step.hpp"
#include "gpu.cuh"
#include "map.cuh"

namespace fathom::gpu {

// Channels c .. c + Width - 1 of the pixel (h, w) of image n.
struct Chunk {
  int n, c, h, w;
};

// A map that is read and written in chunks. Where its pixels are not aligned to them it is loose: elements go one by
// one, and what lies beyond its channels is neither read nor written.
struct ChunkMap : AnyMap {
  bool loose = true;

  ChunkMap() = default;
  ChunkMap(const Desc& desc, const void* data, int width) : AnyMap(desc, data), loose(!is_wide(desc, width)) {}

  template <int Width>
  __device__ Vec<float, Width> load_chunk(const Chunk& at, Site site = Site::here()) const {
    const std::int64_t first = index(at.n, at.c, at.h, at.w);
    if constexpr (Width > 1) {
      if (!loose && dtype == DType::f16)
        return to_float(load_vec<Width>(reinterpret_cast<const __half*>(bytes.data) + first, site));
      if (!loose) return load_vec<Width>(reinterpret_cast<const float*>(bytes.data) + first, site);
    }
    Vec<float, Width> v;
#pragma unroll
    for (int i = 0; i < Width; ++i) v[i] = at.c + i < bytes.extent[1] ? load_at(first + i) : 0;
    return v;
  }

  // The padding behind the last channel becomes zeros.
  template <int Width>
  __device__ void store_chunk(const Chunk& at, Vec<float, Width> v, Site site = Site::here()) const {
    const std::int64_t first = index(at.n, at.c, at.h, at.w);
    const int channels = bytes.extent[1] - at.c;
#pragma unroll
    for (int i = 0; i < Width; ++i) v[i] = i < channels ? v[i] : 0;
    if (dtype == DType::f16) {
      __half* to = reinterpret_cast<__half*>(bytes.data) + first;
      if (!loose || Width == 1) {
        store_vec(to, from_float<__half>(v), site);
      } else {
#pragma unroll
        for (int i = 0; i < Width; ++i)
          if (i < channels) to[i] = from_float<__half>(v[i]);
      }
    } else {
      float* to = reinterpret_cast<float*>(bytes.data) + first;
      if (!loose || Width == 1) {
        store_vec(to, v, site);
      } else {
#pragma unroll
        for (int i = 0; i < Width; ++i)
          if (i < channels) to[i] = v[i];
      }
    }
  }

 private:
  __device__ float load_at(std::int64_t at) const {
    if (dtype == DType::f16) return to_float(reinterpret_cast<const __half*>(bytes.data)[at]);
    if (dtype == DType::u8) return to_float(bytes.data[at]);
    return reinterpret_cast<const float*>(bytes.data)[at];
  }
};

template <int Width>
__device__ inline Vec<float, Width> apply(const Activation& f, Vec<float, Width> v) {
  apply(f, v.v);
  return v;
}

struct ChunkGrid {
  Divisor chunks, columns;  // of a pixel, of a row
  int count = 0;            // of an image
};

// How many blocks a multiprocessor is to hold at least: registers are shared out accordingly. An op whose threads need
// more has a member kBlocks.
template <class F>
inline constexpr int kBlocks = [] {
  if constexpr (requires { F::kBlocks; })
    return F::kBlocks;
  else
    return 4;
}();

// grid (chunks of an image, images)
inline constexpr int kChunkThreads = 256;
template <int Width, class F>
__global__ void __launch_bounds__(kChunkThreads, kBlocks<F>)
    chunk_kernel(const __grid_constant__ ChunkGrid grid, const __grid_constant__ F f) {
  const int k = static_cast<int>(blockIdx.x * kChunkThreads + threadIdx.x);
  if (k >= grid.count) return;
  const int pixel = grid.chunks.quotient(k), h = grid.columns.quotient(pixel);
  f.template run<Width>(Chunk{static_cast<int>(blockIdx.y), (k - pixel * grid.chunks.divisor) * Width, h,
                              pixel - h * grid.columns.divisor});
}

// How many channels a thread takes: 16 bytes of the given maps, the most important ones; 1 where one of them is loose.
inline int chunk_width(std::initializer_list<Desc> maps) {
  const bool halves = std::any_of(maps.begin(), maps.end(), [](const Desc& d) { return d.dtype == DType::f16; });
  for (int width : {halves ? 8 : 4, 4})
    if (std::all_of(maps.begin(), maps.end(), [=](const Desc& d) { return is_wide(d, width); })) return width;
  return 1;
}

inline std::string chunk_text(int width) {
  return width == 1 ? "element by element" : std::to_string(width) + " channels a thread";
}

// f(integral_constant<int, width>)
template <class F>
void with_width(int width, F&& f) {
  switch (width) {
    case 8: return f(std::integral_constant<int, 8>());
    case 4: return f(std::integral_constant<int, 4>());
    default: return f(std::integral_constant<int, 1>());
  }
}

// An op whose struct has a member kWidest exists for chunks up to that, with kNarrowest for none below.
template <class F>
inline constexpr int kNarrowest = [] {
  if constexpr (requires { F::kNarrowest; })
    return F::kNarrowest;
  else
    return 1;
}();
template <class F>
inline constexpr int kWidest = [] {
  if constexpr (requires { F::kWidest; })
    return F::kWidest;
  else
    return 8;
}();

// Runs `f` on the first `channels` channels of all pixels of `out`, in chunks.
template <class F>
void launch_chunks(int width, const Desc& out, int channels, void* stream, const F& f, Site site = Site::here()) {
  const int chunks = (channels + width - 1) / width;
  const std::int64_t count = out.h() * out.w() * chunks;
  if (count > INT32_MAX - kChunkThreads)
    throw Error(ErrorKind::unsupported, "CUDA: one image of a tensor has more than 2^31 elements; use a smaller size");
  const ChunkGrid grid{Divisor(chunks), Divisor(static_cast<int>(out.w())), static_cast<int>(count)};
  const LaunchShape shape{
      .grid = dim3(static_cast<unsigned>((count + kChunkThreads - 1) / kChunkThreads), static_cast<unsigned>(out.n())),
      .block = dim3(kChunkThreads),
      .site = site};
  with_width(width, [&]<int Width>(std::integral_constant<int, Width>) {
    if constexpr (kNarrowest<F> <= Width && Width <= kWidest<F>)
      launch(chunk_kernel<Width, F>, shape, static_cast<cudaStream_t>(stream), grid, f);
  });
}

// The same on whole pixels, padding included.
template <class F>
void launch_chunks(int width, const Desc& out, void* stream, const F& f, Site site = Site::here()) {
  launch_chunks(width, out, stored_channels(out), stream, f, site);
}

// For ops that treat every element alike: a map without gaps as one pixel of many channels, so that accesses are wide
// whatever its channels.
inline Desc as_one_pixel(const Desc& d) {
  const std::int64_t all = d.c() * d.h() * d.w();
  return {d.dtype, 4, {d.n(), all, 1, 1}, {all, 1, all, all}};
}
inline bool is_one_pixel(const Desc& d) {
  return d.is_dense_nhwc() && stored_channels(d) == d.c() && (d.c() * d.h() * d.w()) % 8 == 0;
}

// A one-channel map whose columns count as its channels, so that a thread makes neighbours of a row.
inline bool has_rows(const Desc& d) { return d.c() == 1 && d.dtype == DType::f32 && d.stride[3] == 1; }
inline Desc as_rows(const Desc& d) {
  return {d.dtype, 4, {d.n(), d.w(), d.h(), 1}, {d.stride[0], 1, d.stride[2], d.stride[2]}};
}

// The step of an op without its kernel; throws Error{unsupported} for what these kernels do not read or write.
inline Step begin(const Op& op, const NodeIo& io) {
  const auto refuse = [&](const std::string& name, const std::string& what) {
    throw Error(ErrorKind::unsupported,
                std::string(name_of(op)) + " '" + io.name + "' on a GPU: '" + name + "' is " + what);
  };
  const DType bytes = std::holds_alternative<Preprocess>(op) ? DType::u8 : DType::f16;
  for (std::size_t k = 0; k < io.in.size() - parameter_names(op).size(); ++k) {
    const Operand& x = io.in[k];
    if (x.desc.dtype != DType::f32 && x.desc.dtype != bytes) refuse(x.name, to_string(x.desc.dtype));
    if (x.constant) refuse(x.name, "a constant, expected a map that is computed or given");
  }
  if (io.out.desc.dtype != DType::f32 && io.out.desc.dtype != DType::f16)
    refuse(io.out.name, to_string(io.out.desc.dtype));
  return describe(op, io);
}

}  // namespace fathom::gpu
