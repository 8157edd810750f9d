// Reshape: the same elements in N, C, H, W order, cut anew per image.
#include "chunks.cuh"
#include "kernels.hpp"

namespace fathom {

namespace gpu {

// A thread for each element of y, in y's memory order.
struct ReshapeMap {
  static constexpr int kWidest = 1;
  ChunkMap x, y;
  Divisor x_plane, x_row;
  template <int Width>
  __device__ void run(const Chunk& at) const {
    Vec<float, Width> v;
#pragma unroll
    for (int i = 0; i < Width; ++i) {
      const int k = ((at.c + i) * y.bytes.extent[2] + at.h) * y.bytes.extent[3] + at.w;  // in C, H, W order
      const int c = x_plane.quotient(k), inside = k - c * x_plane.divisor, h = x_row.quotient(inside);
      v[i] = at.c + i < y.bytes.extent[1] ? x.load(at.n, c, h, inside - h * x_row.divisor) : 0;
    }
    y.store_chunk(at, v);
  }
};

}  // namespace gpu

Step prepare(const Reshape& op, const NodeIo& io, CudaBackend&) {
  using namespace gpu;
  Step step = describe(op, io);
  const Operand x = io.in[0], y = io.out;
  const Divisor plane(static_cast<int>(x.desc.h() * x.desc.w())), row(static_cast<int>(x.desc.w()));
  step.kernel = chunk_text(1);
  step.run = [=](const RunArgs& args) {
    launch_chunks(1, y.desc, args.stream,
                  ReshapeMap{ChunkMap(x.desc, args.data[x.id], 1), ChunkMap(y.desc, args.data[y.id], 1), plane, row});
  };
  return step;
}

}  // namespace fathom
