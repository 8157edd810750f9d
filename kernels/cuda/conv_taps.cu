// What the launchers of conv_taps.cuh's kernel share: tiles and weights.
#include "conv_taps.cuh"

namespace fathom::gpu {

namespace {

int ceil_div(int x, int by) { return (x + by - 1) / by; }
int under(int outputs, int stride, int kernel, int dilation) {
  return (outputs - 1) * stride + (kernel - 1) * dilation + 1;
}

}  // namespace

TapsConv taps_conv(const ConvTask& task, int depth, int units_of_block, int pixel_pitch) {
  const ConvGeometry& g = task.geometry;
  TapsConv conv;
  conv.g = g;
  conv.taps = g.kh * g.kw, conv.steps = ceil_div(conv.taps * depth, 16);
  conv.kernel_w = Divisor(g.kw);
  conv.units = ceil_div(g.o, kUnit), conv.units_of_block = units_of_block;
  const int width = kTileSide * kTapsWarps / units_of_block;
  conv.tiles_w = Divisor(ceil_div(g.ow, width));
  conv.rows = under(kTileSide, g.stride_h, g.kh, g.dilation_h);
  conv.columns = under(width, g.stride_w, g.kw, g.dilation_w);
  conv.pixel_pitch = pixel_pitch, conv.row_pitch = conv.columns * pixel_pitch;
  conv.f = task.op.activation, conv.has_residual = task.role.residual;
  return conv;
}

int taps_shared_bytes(const TapsConv& conv) { return conv.rows * conv.row_pitch * 2; }

LaunchShape taps_launch(const TapsConv& conv, int images) {
  return {.grid = dim3(static_cast<unsigned>(conv.tiles_w.divisor * ceil_div(conv.g.oh, kTileSide)),
                       static_cast<unsigned>(ceil_div(conv.units, conv.units_of_block)), static_cast<unsigned>(images)),
          .block = kTapsThreads,
          .shared_bytes = static_cast<std::size_t>(taps_shared_bytes(conv))};
}

// Lane l holds of column tile q, step s: k = 16 s + 2 (l % 4) + {0, 1, 8, 9}, output channel 8 q + l / 4.
std::shared_ptr<const __half> taps_weight(const ConvTask& task, const TapsConv& conv, int depth) {
  const ConvGeometry& g = conv.g;
  const Operand& weight = task.role.weight;
  const std::int64_t count = std::int64_t{conv.units} * conv.steps * kColumnTiles * kWarpSize * 4;
  const std::string layout = "lanes of " + std::to_string(depth) + " channels, " + std::to_string(g.groups) + " groups";
  const auto value = [&](const float* from, int o, int k, int first) {  // first: channel of the column tile
    const int tap = k / depth, c = first + k % depth - (g.groups == 1 ? 0 : o / g.group_out() * g.group_in());
    if (o >= g.o || tap >= conv.taps || c < 0 || c >= g.group_in()) return 0.f;
    return from[(std::int64_t{o} * g.group_in() + c) * conv.taps + tap];
  };
  return std::static_pointer_cast<const __half>(std::static_pointer_cast<const void>(
      packed<std::uint16_t>(task.backend, weight, layout, count, [&](const float* from, std::uint16_t* to) {
        for (int unit = 0; unit < conv.units; ++unit)
          for (int step = 0; step < conv.steps; ++step)
            for (int q = 0; q < kColumnTiles; ++q)
              for (int lane = 0; lane < kWarpSize; ++lane)
                for (int k : {0, 1, 8, 9}) {
                  const int tile = unit * kColumnTiles + q;
                  *to++ = checked_half(
                      value(from, tile * 8 + lane / 4, step * 16 + lane % 4 * 2 + k, conv.first_channel(tile)), weight);
                }
      })));
}

}  // namespace fathom::gpu
