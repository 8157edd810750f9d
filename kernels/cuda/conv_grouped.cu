// Grouped Conv2d, 2 to 32 channels per group, in halves on tensor cores (conv_taps.cuh). A column tile of 8 output
// channels sees the channels of its group, or of the groups it covers: there the weights have zeros where groups do not
// meet.
#include "conv_taps.cuh"

namespace fathom::gpu {

namespace {

// The input channels of one column tile.
int depth_of(const ConvGeometry& g) { return std::max(g.group_in(), g.group_in() * 8 / g.group_out()); }

// Copies the tile 16 bytes at a time, straight from global to shared memory.
struct LoadChannels {
  View<const __half, 4> x;
  Axis rows, columns;
  Divisor chunks, width;  // of a pixel; of the tile
  int stored;             // channels of x in memory

  __device__ void operator()(const TapsConv& conv, __half* tile, int n, int row, int column, int channel) const {
    for (int k = static_cast<int>(threadIdx.x); k < conv.rows * conv.columns * chunks.divisor; k += kTapsThreads) {
      const int pixel = chunks.quotient(k), chunk = k - pixel * chunks.divisor;
      const int r = width.quotient(pixel), c = channel + chunk * 8;
      const int i = rows.whole_place(row + r), j = columns.whole_place(column + pixel - r * width.divisor);
      const bool some = i >= 0 && j >= 0 && c < stored;
      cp_async<16>(tile + pixel * conv.pixel_pitch + chunk * 8, some ? &x(n, c, i, j) : x.data, some ? 16 : 0);
    }
    cp_async_wait_all();
  }
};

constexpr int kUnitsOfBlock = 4;

int tile_channels(const ConvGeometry& g) { return kUnitsOfBlock * kUnit * g.group_in() / g.group_out(); }

TapsConv grouped_conv(const ConvTask& task) {
  // 8 halves more than the channels: neighbouring pixels then begin in different banks.
  return taps_conv(task, depth_of(task.geometry), kUnitsOfBlock, tile_channels(task.geometry) + 8);
}

template <int Depth, int Shared>
void build(const ConvTask& task, Step& step) {
  const ConvGeometry& g = task.geometry;
  const TapsConv conv = grouped_conv(task);
  const Operand x = task.role.sources[0];
  LoadChannels load;
  load.rows = Axis(task.op.sources[0], x.desc.h(), g.h), load.columns = Axis(task.op.sources[0], x.desc.w(), g.w);
  load.chunks = Divisor(tile_channels(g) / 8), load.width = Divisor(conv.columns);
  load.stored = stored_channels(x.desc);
  step.kernel += ", " + std::to_string(Depth) + " deep";
  run_taps(task, step, conv, Depth, conv_taps_kernel<Depth, Shared, LoadChannels>, [=](const RunArgs& args) {
    LoadChannels now = load;
    now.x = map_view<const __half>(x.desc, args.data[x.id]);
    return now;
  });
}

}  // namespace

std::string fits_grouped_mma(const ConvTask& task) {
  const ConvGeometry& g = task.geometry;
  if (g.groups == 1) return "no groups";
  const int in = g.group_in(), out = g.group_out(), depth = depth_of(g);
  if (in < 2 || in > 32) return "not 2 to 32 channels per group";
  if (out % 8 != 0 && (out > 8 || 8 % out != 0)) return "column tiles of 8 outputs would cut groups";
  if (in * 8 % out != 0) return "a column tile sees no whole number of channels";
  if (depth != 4 && depth != 8 && depth != 16 && depth != 32)
    return std::to_string(depth) + " channels per column tile";
  if (tile_channels(g) % 8 != 0) return "a block's channels do not begin at multiples of 8";
  if (task.op.sources.size() > 1) return "several sources";
  if (task.op.gate) return "a gate";
  if (const std::string extras = task.extras(); !extras.empty()) return extras;
  if (task.op.sources[0].resize.mode == ResizeMode::bilinear) return "a bilinear source";
  const Desc& x = task.role.sources[0].desc;
  if (x.dtype != DType::f16 || !is_wide(x, 8)) return "not halves with 16-byte accesses";
  if (taps_shared_bytes(grouped_conv(task)) > 48 * 1024) return "its tile is beyond shared memory";
  return {};
}

void build_grouped_mma(const ConvTask& task, Step& step) {
  const int out = task.geometry.group_out();  // a group's column tiles share what they read
  switch (depth_of(task.geometry)) {
    case 4: return build<4, 1>(task, step);
    case 8: return out % 16 == 0 ? build<8, 2>(task, step) : build<8, 1>(task, step);
    case 16: return out % 32 == 0 ? build<16, 4>(task, step) : build<16, 1>(task, step);
    default: return out % 32 == 0 ? build<32, 4>(task, step) : build<32, 1>(task, step);
  }
}

}  // namespace fathom::gpu
