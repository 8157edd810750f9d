// The means of a map's channels, taken by the convolution or block that makes the map (its `mean`), while it has the numbers
// at hand. A block writes the sums of its pixels to a slot of its own; of the blocks that share channels the one that
// comes last adds the slots, in their order. So there are no atomic sums, and the same input gives the same bits. Where
// the means are the last that a gate waits for (Conv2d::excitation), the block that comes last of all makes the gate.
#pragma once
#include <climits>

#include "conv.cuh"
#include "divisor.cuh"
#include "gate_of_means.cuh"
#include "reduce.cuh"
#include "vec.cuh"

namespace fathom::gpu {

struct ChannelMeans {
  int slots = 0;                 // of each image and group of columns; 0: no means are wanted
  int groups = 0, columns = 0;   // groups of columns (channels), one a block; columns of a group
  float* sums = nullptr;         // (N, slots, groups, columns), where there are several slots
  unsigned* counters = nullptr;  // (N, groups)
  ChannelVector y;
  float factor = 1;              // 1 / pixels
  GateOfMeans gate;
  unsigned* gate_counters = nullptr;  // (N), where there are several groups
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
  if (thread < columns && channel < m.y.channels) m.y(n, channel) = total * m.factor;
  if (m.gate.maps == 0) return;
  if (m.groups > 1 && !last_block(m.gate_counters + n, static_cast<unsigned>(m.groups))) return;
  __syncthreads();  // this block's means are there, and nobody reads `shared` any more
  make_gate<Threads>(m.gate, n, shared);
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

// What a step needs for its second output, and where it finds it in a run. Nothing, where there is none, or where it is
// left to a launch of its own (with_second_output): without slots, and for gates that need more than `floats` of what
// finish_means has of shared memory.
class MeansOfStep {
 public:
  MeansOfStep(const Op& op, const NodeIo& io, CudaBackend& backend, Step& step, int slots, int groups, int columns,
              int floats)
      : mean_(io.mean) {
    const std::optional<SecondOutput> second = second_output(op, io.in.size());
    const Desc& y = io.out.desc;
    if (!second || slots == 0 || y.c() > SHRT_MAX) return;
    const auto* const gate = std::get_if<ChannelGate>(&second->op);
    if (gate && !take_gate(*gate, second->in, io, backend, floats)) return;
    means_.slots = slots, means_.groups = groups, means_.columns = columns;
    means_.factor = 1 / static_cast<float>(y.h() * y.w());
    step.kernel += gate ? ", means, gate" : ", means", step.means = true;
    const auto reserve = [&](std::int64_t bytes) {
      const std::int64_t at = (step.workspace_bytes + 63) / 64 * 64;
      step.workspace_bytes = at + bytes;
      return at;
    };
    const auto count = [&](std::int64_t counters) {
      step.counters += static_cast<int>(counters);
      return step.counters - static_cast<int>(counters);
    };
    if (gate) means_at_ = reserve(y.n() * y.c() * 4);
    if (gate && groups > 1) gate_counter_ = count(y.n());
    if (slots > 1) sums_at_ = reserve(y.n() * slots * groups * columns * 4), counter_ = count(y.n() * groups);
  }
  MeansOfStep(const ConvTask& task, Step& step, int slots, int groups, int columns, int floats)
      : MeansOfStep(task.op, task.io, task.backend, step, slots, groups, columns, floats) {}
  // Of a kernel with chunks of `width` channels, `places` at which threads work, and `threads` in a block.
  MeansOfStep(const ConvTask& task, Step& step, const ChunkPlaces& grid, std::int64_t places, int threads, int width)
      : MeansOfStep(task, step, grid.beside > 0 ? blocks_of(grid, places, threads) : 0, groups_of(grid),
                    grid.beside * width, threads * width) {}

  ChannelMeans at(const RunArgs& args) const {
    ChannelMeans means = means_;
    if (means.slots == 0) return means;
    means.sums = reinterpret_cast<float*>(args.workspace + sums_at_), means.counters = args.counters + counter_;
    void* const mean = means_at_ < 0 ? args.data[mean_.id] : args.workspace + means_at_;
    means.y = ChannelVector(mean_.desc, mean);
    means.gate = gate_.at(args, means.y.data);
    means.gate_counters = args.counters + gate_counter_;
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
  bool take_gate(const ChannelGate& op, const std::vector<int>& from, const NodeIo& io, CudaBackend& backend, int floats) {
    const auto own = static_cast<int>(std::find(from.begin(), from.end(), -1) - from.begin());
    const Desc mean = Desc::nhwc(io.out.desc.n(), io.out.desc.c(), 1, 1);
    std::vector<Operand> in;
    for (const int k : from) in.push_back(k < 0 ? Operand{.desc = mean} : io.in[static_cast<std::size_t>(k)]);
    for (const Operand& o : in)
      if (o.desc.dtype != DType::f32) return false;
    const Desc& squeeze = in[op.maps(in.size())].desc;
    if (op.maps(in.size()) > kMeansMaps || squeeze.extent[0] + squeeze.extent[1] > floats) return false;
    gate_ = GateOfStep(op, in, io.mean, backend, own);
    mean_.desc = mean;
    return true;
  }

  Operand mean_;  // the second output; with a gate, where the means lie between
  GateOfStep gate_;
  ChannelMeans means_;
  std::int64_t sums_at_ = 0, means_at_ = -1;  // in the workspace; -1: the means are the output
  int counter_ = 0, gate_counter_ = 0;
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
