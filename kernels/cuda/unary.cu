// y = f(x), element by element: Activation, Affine, DisparityToDepth. See chunks.cuh for who works on what.
#include "chunks.cuh"
#include "kernels.hpp"

namespace fathom {

namespace gpu {

struct Activate {
  Activation f;
  template <int Width>
  __device__ Vec<float, Width> operator()(const Vec<float, Width>& x) const {
    return apply(f, x);
  }
};

// y = scale x + shift
struct Scale {
  float scale, shift;
  template <int Width>
  __device__ Vec<float, Width> operator()(Vec<float, Width> v) const {
#pragma unroll
    for (int i = 0; i < Width; ++i) v[i] = scale * v[i] + shift;
    return v;
  }
};

// y = 1 / (shift + scale x)
struct Invert {
  float shift, scale;  // 1 / max_depth, 1 / min_depth - 1 / max_depth
  template <int Width>
  __device__ Vec<float, Width> operator()(Vec<float, Width> v) const {
#pragma unroll
    for (int i = 0; i < Width; ++i) v[i] = 1 / (shift + scale * v[i]);
    return v;
  }
};

template <class F>
struct UnaryMap {
  ChunkMap x, y;
  F f;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    y.store_chunk(at, f(x.load_chunk<Width>(at)));
  }
};

}  // namespace gpu

namespace {

using namespace gpu;

template <class F>
Step unary(const Op& op, const NodeIo& io, F f) {
  Step step = begin(op, io);
  Operand x = io.in[0], y = io.out;
  if (is_one_pixel(x.desc) && is_one_pixel(y.desc)) x.desc = as_one_pixel(x.desc), y.desc = as_one_pixel(y.desc);
  const int width = chunk_width({x.desc, y.desc});
  step.kernel = chunk_text(width);
  step.run = [=](const RunArgs& args) {
    launch_chunks(width, y.desc, args.stream,
                  UnaryMap<F>{ChunkMap(x.desc, args.data[x.id], width), ChunkMap(y.desc, args.data[y.id], width), f});
  };
  return step;
}

}  // namespace

Step prepare(const Activation& op, const NodeIo& io, CudaBackend&) { return unary(op, io, Activate{op}); }
Step prepare(const Affine& op, const NodeIo& io, CudaBackend&) { return unary(op, io, Scale{op.scale, op.shift}); }
Step prepare(const DisparityToDepth& op, const NodeIo& io, CudaBackend&) {
  return unary(op, io, Invert{1 / op.max_depth, 1 / op.min_depth - 1 / op.max_depth});
}

}  // namespace fathom
