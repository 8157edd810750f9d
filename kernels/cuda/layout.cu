// Slice, Pad, Concat and PixelShuffle: the same numbers at other places. See chunks.cuh for who works on what.
#include "chunks.cuh"
#include "kernels.hpp"
#include "resample.cuh"

namespace fathom {

namespace gpu {

// y = x, whose first element kept is the first of its view
struct CopyMap {
  ChunkMap x, y;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    y.store_chunk(at, x.load_chunk<Width>(at));
  }
};

// y(n, c, h, w) = x(n, c, h - top, w - left)
struct PadMap {
  ChunkMap x, y;
  int top, left;
  PadMode mode;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    const int h = padded_at(at.h - top, x.bytes.extent[2], mode), w = padded_at(at.w - left, x.bytes.extent[3], mode);
    const bool zero = h < 0 || w < 0;
    y.store_chunk(at, zero ? Vec<float, Width>{} : x.load_chunk<Width>({at.n, at.c, h, w}));
  }
};

// y(n, first[k] + c, h, w) = x_k(n, c, h, w)
inline constexpr int kConcatSources = 16;  // in one launch
struct ConcatMaps {
  ChunkMap x[kConcatSources];
  int first[kConcatSources + 1];  // channel of y, and the end of the last
  int sources;
  int begin;  // the first channel of y to be written
  ChunkMap y;
  template <int Width>
  __device__ void run(const Chunk& chunk) const {
    const Chunk at{chunk.n, chunk.c + begin, chunk.h, chunk.w};
    int k = 0;
    while (k + 1 < sources && at.c >= first[k + 1]) ++k;
    const int from = at.c - first[k];
    const bool whole = from % Width == 0 && (k + 1 == sources || at.c + Width <= first[k + 1]);
    Vec<float, Width> v;
    if (Width == 1 || whole) {
      v = x[k].load_chunk<Width>({at.n, from, at.h, at.w});
    } else if constexpr (Width > 1) {  // several sources in one chunk, or one that begins elsewhere
#pragma unroll
      for (int i = 0; i < Width; ++i) {
        while (k + 1 < sources && at.c + i >= first[k + 1]) ++k;
        v[i] = at.c + i < first[sources] ? x[k].load(at.n, at.c + i - first[k], at.h, at.w) : 0;
      }
    }
    y.store_chunk(at, v);
  }
};

// y(n, c, h f + i, w f + j) = x(n, c f^2 + i f + j, h, w)
struct ShuffleMap {
  ChunkMap x, y;
  Divisor factor;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    const int f = factor.divisor, h = factor.quotient(at.h), w = factor.quotient(at.w);
    const int corner = (at.h - h * f) * f + at.w - w * f;
    Vec<float, Width> v;
#pragma unroll
    for (int i = 0; i < Width; ++i)
      v[i] = at.c + i < y.bytes.extent[1] ? x.load(at.n, (at.c + i) * f * f + corner, h, w) : 0;
    y.store_chunk(at, v);
  }
};

// The same for f = 2, from the small map: four chunks of x hold the four pixels of y, all of whose accesses are wide.
struct ShuffleByTwo {
  ChunkMap x, y;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    Vec<float, Width> part[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const Chunk from{at.n, 4 * at.c + k * Width, at.h, at.w};
      part[k] = from.c < x.bytes.extent[1] ? x.load_chunk<Width>(from) : Vec<float, Width>{};
    }
#pragma unroll
    for (int corner = 0; corner < 4; ++corner) {
      Vec<float, Width> v;
#pragma unroll
      for (int i = 0; i < Width; ++i) v[i] = part[(4 * i + corner) / Width][(4 * i + corner) % Width];
      y.store_chunk({at.n, at.c, 2 * at.h + corner / 2, 2 * at.w + corner % 2}, v);
    }
  }
};

}  // namespace gpu

namespace {

using namespace gpu;

void* moved(void* data, const Desc& desc, std::int64_t elements) {
  return static_cast<std::byte*>(data) + elements * size_of(desc.dtype);
}

}  // namespace

Step prepare(const Slice& op, const NodeIo& io, CudaBackend&) {
  Step step = begin(op, io);
  const auto axis = static_cast<std::size_t>(op.axis);
  const Operand x = io.in[0], y = io.out;
  const std::int64_t offset = op.begin * x.desc.stride[axis];
  Desc part = x.desc;
  part.extent[axis] = op.count;
  const int wide = chunk_width({x.desc, y.desc}), width = offset % wide == 0 ? wide : 1;
  step.kernel = "copy, " + chunk_text(width);
  step.run = [=](const RunArgs& args) {
    launch_chunks(width, y.desc, args.stream,
                  CopyMap{ChunkMap(part, moved(args.data[x.id], x.desc, offset), width),
                          ChunkMap(y.desc, args.data[y.id], width)});
  };
  return step;
}

Step prepare(const Pad& op, const NodeIo& io, CudaBackend&) {
  Step step = begin(op, io);
  const Operand x = io.in[0], y = io.out;
  const int width = chunk_width({x.desc, y.desc});
  step.kernel = "copy by index, " + chunk_text(width);
  step.run = [=](const RunArgs& args) {
    launch_chunks(width, y.desc, args.stream,
                  PadMap{ChunkMap(x.desc, args.data[x.id], width), ChunkMap(y.desc, args.data[y.id], width),
                         op.padding.top, op.padding.left, op.mode});
  };
  return step;
}

Step prepare(const Concat& op, const NodeIo& io, CudaBackend&) {
  Step step = begin(op, io);
  const std::vector<Operand> in = io.in;
  const Operand y = io.out;
  std::vector<std::int64_t> first{0};  // by source, and the end
  for (const Operand& x : in) first.push_back(first.back() + x.desc.c());
  int width = chunk_width({y.desc});
  const auto aligned = [=](std::int64_t c) { return c % width == 0; };
  if (in.size() > kConcatSources && !std::all_of(first.begin(), first.end() - 1, aligned)) width = 1;
  step.kernel = "copy, " + chunk_text(width);
  step.run = [=](const RunArgs& args) {
    const auto in_place = [&](std::size_t k) {
      return in[k].desc.dtype == y.desc.dtype && in[k].desc.stride == y.desc.stride &&
             args.data[in[k].id] == moved(args.data[y.id], y.desc, first[k]);
    };
    for (std::size_t k = 0; k < in.size();) {
      if (in_place(k)) {
        ++k;
        continue;
      }
      ConcatMaps f{};  // the sources from here to the next that is where it belongs
      f.begin = static_cast<int>(first[k]);
      f.y = ChunkMap(y.desc, args.data[y.id], width);
      for (; k < in.size() && f.sources < kConcatSources && !in_place(k); ++k) {
        f.x[f.sources] = ChunkMap(in[k].desc, args.data[in[k].id], width);
        f.first[f.sources++] = static_cast<int>(first[k]);
      }
      f.first[f.sources] = static_cast<int>(first[k]);
      const int end = k == in.size() ? stored_channels(y.desc) : f.first[f.sources];
      launch_chunks(width, y.desc, end - f.begin, args.stream, f);
    }
  };
  return step;
}

Step prepare(const PixelShuffle& op, const NodeIo& io, CudaBackend&) {
  Step step = begin(op, io);
  const Operand x = io.in[0], y = io.out;
  const int width = chunk_width({y.desc});
  Desc corners = y.desc;  // of the pixels of y that are a thread's first
  corners.extent[2] = x.desc.h(), corners.extent[3] = x.desc.w();
  step.kernel = (op.factor == 2 ? "four pixels a thread, " : "gathered, ") + chunk_text(width);
  if (op.factor != 2) step.refused = {"four pixels a thread: the factor is not 2"};
  step.run = [=](const RunArgs& args) {
    const ChunkMap from(x.desc, args.data[x.id], width), to(y.desc, args.data[y.id], width);
    if (op.factor == 2)
      launch_chunks(width, corners, stored_channels(y.desc), args.stream, ShuffleByTwo{from, to});
    else
      launch_chunks(width, y.desc, args.stream, ShuffleMap{from, to, Divisor(op.factor)});
  };
  return step;
}

}  // namespace fathom
