// The means of a map's channels, taken by the convolution that makes the map (Conv2d::mean), while it has the numbers
// at hand. A block writes the sums of its pixels to a slot of its own; of the blocks that share channels the one that
// comes last adds the slots, in their order. So there are no atomic sums, and the same input gives the same bits.
#pragma once
#include "conv.cuh"
#include "divisor.cuh"
#include "reduce.cuh"
#include "vec.cuh"

namespace fathom::gpu {

struct ChannelMeans {
  int slots = 0;                 // of each image and group of columns; 0: no means are wanted
  int groups = 0, columns = 0;   // groups of columns (channels), one a block; columns of a group
  float* sums = nullptr;         // (N, slots, groups, columns), where there are several slots
  unsigned* counters = nullptr;  // (N, groups)
  AnyMap y;                      // (N, C, 1, 1)
  float factor = 1;              // 1 / pixels
};

// shared: (rows, columns), the block's sums in rows of its own choice, as many as Threads * Width make at most; it is
// overwritten. Every thread of a one-dimensional block of Threads must call this.
template <int Threads, int Width>
__device__ inline void finish_means(const ChannelMeans& m, int n, int slot, int group, int rows, float* shared) {
  const int thread = static_cast<int>(threadIdx.x), columns = m.columns;
  const auto add_rows = [&] {
    float total = 0;
    for (int r = 0; thread < columns && r < rows; ++r) total += shared[r * columns + thread];
    return total;
  };
  __syncthreads();  // the block's sums are there
  float total = add_rows();
  if (m.slots > 1) {
    const int pitch = m.groups * columns;
    float* const sums = m.sums + static_cast<std::int64_t>(n) * m.slots * pitch + group * columns;
    if (thread < columns) sums[slot * pitch + thread] = total;
    if (!last_block(m.counters + n * m.groups + group, static_cast<unsigned>(m.slots))) return;
    const int column = thread * Width % columns;
    Vec<float, Width> part{};
#pragma unroll 4
    for (int s = thread * Width / columns; s < m.slots; s += Threads * Width / columns) {
      const Vec<float, Width> more = load_vec<Width>(sums + s * pitch + column);
#pragma unroll
      for (int i = 0; i < Width; ++i) part[i] += more[i];
    }
    store_vec(shared + thread * Width, part);
    __syncthreads();
    rows = Threads * Width / columns, total = add_rows();
  }
  const int channel = group * columns + thread;
  if (thread < columns && channel < m.y.bytes.extent[1]) m.y.store(n, channel, 0, 0, total * m.factor);
}

// How threads share out the chunks of channels at each of some places. They follow each other through all chunks of a
// place, then the next; where means are wanted, a block keeps to a group of `beside` chunks.
struct ChunkPlaces {
  Divisor chunks;
  int beside = 0;

  struct At {
    int chunk, place;
  };
  template <int Threads>
  __device__ At at() const {
    const int thread = static_cast<int>(threadIdx.x), block = static_cast<int>(blockIdx.x);
    if (beside > 0)
      return {static_cast<int>(blockIdx.z) * beside + thread % beside, block * (Threads / beside) + thread / beside};
    const int k = block * Threads + thread, place = chunks.quotient(k);
    return {k - place * chunks.divisor, place};
  }
};

// ---- the launcher's part

// As many chunks as waste few threads in the last group.
inline int chunks_beside(int chunks) {
  for (int beside : {16, 8, 4})
    if ((chunks + beside - 1) / beside * beside * 8 <= chunks * 9) return beside;
  return chunks > 2 ? 4 : chunks;
}

// What a step needs for its means, and where it finds it in a run. Nothing, where they are not wanted.
class MeansOfStep {
 public:
  MeansOfStep(const ConvTask& task, Step& step, int slots, int groups, int columns) : y_(task.io.mean) {
    if (!task.op.mean || slots == 0) return;
    const Desc& y = task.io.out.desc;
    means_.slots = slots, means_.groups = groups, means_.columns = columns;
    means_.factor = 1 / static_cast<float>(y.h() * y.w());
    step.kernel += ", means", step.means = true;
    if (slots == 1) return;
    workspace_ = (step.workspace_bytes + 63) / 64 * 64, counter_ = step.counters;
    step.workspace_bytes = workspace_ + y.n() * slots * groups * columns * 4;
    step.counters += static_cast<int>(y.n()) * groups;
  }
  // Of a kernel with chunks of `width` channels, `places` at which threads work, and `threads` in a block.
  MeansOfStep(const ConvTask& task, Step& step, const ChunkPlaces& grid, std::int64_t places, int threads, int width)
      : MeansOfStep(task, step, grid.beside > 0 ? blocks_of(grid, places, threads) : 0, groups_of(grid),
                    grid.beside * width) {}

  ChannelMeans at(const RunArgs& args) const {
    ChannelMeans means = means_;
    if (means.slots == 0) return means;
    means.sums = reinterpret_cast<float*>(args.workspace + workspace_), means.counters = args.counters + counter_;
    means.y = AnyMap(y_.desc, args.data[y_.id]);
    return means;
  }

  static int groups_of(const ChunkPlaces& grid) {
    return grid.beside > 0 ? (grid.chunks.divisor + grid.beside - 1) / grid.beside : 1;
  }
  static int blocks_of(const ChunkPlaces& grid, std::int64_t places, int threads) {
    const std::int64_t work = places * (grid.beside > 0 ? grid.beside : grid.chunks.divisor);
    return static_cast<int>((work + threads - 1) / threads);
  }

 private:
  Operand y_;
  ChannelMeans means_;
  std::int64_t workspace_ = 0;
  int counter_ = 0;
};

// The grid of such a kernel, and what its blocks need of shared memory.
inline LaunchShape chunk_places_launch(const ChunkPlaces& grid, std::int64_t places, int images, int threads,
                                       int width) {
  return {.grid = dim3(static_cast<unsigned>(MeansOfStep::blocks_of(grid, places, threads)),
                       static_cast<unsigned>(images), static_cast<unsigned>(MeansOfStep::groups_of(grid))),
          .block = static_cast<unsigned>(threads),
          .shared_bytes = grid.beside > 0 ? static_cast<std::size_t>(threads * width * 4) : 0};
}

}  // namespace fathom::gpu
