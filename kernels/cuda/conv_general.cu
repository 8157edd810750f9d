// Conv2d in its plain form, for whatever no faster kernel takes:
//   y = act(shuffle((bias(o) + sum over taps (a, b) and channels c of w(o, c, a, b) x'(n, c, i', j')) * gate) +
//   residual + addend) i' = i stride - padding + a dilation, x' the sources resized, joined, put through the prologue
//   and padded
// One thread makes one output; neighbouring threads make neighbouring channels of one pixel, so that they read the same
// inputs and neighbouring weights. Sums run in float32: taps, then sources, then channels.
#include "conv.cuh"

namespace fathom::gpu {

namespace {

__global__ void conv_general_kernel(const __grid_constant__ ConvMaps maps, ConvGeometry g, const float* weight) {
  const int j = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y), i = static_cast<int>(blockIdx.y),
            n = static_cast<int>(blockIdx.z);
  if (j >= g.ow) return;
  for (int o = static_cast<int>(threadIdx.x); o < g.o; o += static_cast<int>(blockDim.x)) {
    const int begin = o / g.group_out() * g.group_in(), end = begin + g.group_in();  // the channels of o's group
    float sum = 0;
    for (int a = 0; a < g.kh; ++a)
      for (int b = 0; b < g.kw; ++b)
        for (int k = 0; k < maps.sources; ++k) {
          const ConvSource& x = maps.source[k];
          if (x.centre && (a != g.kh / 2 || b != g.kw / 2)) continue;
          const Place row = x.rows.place(i * g.stride_h - g.top + a * g.dilation_h);
          const Place column = x.columns.place(j * g.stride_w - g.left + b * g.dilation_w);
          if (row.low < 0 || column.low < 0) continue;
          const float* w = weight + (a * g.kw + b) * g.group_in() * g.o + o;  // (taps, C / groups, O)
          for (int c = max(begin, x.first); c < min(end, x.first + x.channels); ++c)
            sum += maps.prologue(n, c, x.load(n, c - x.first, row, column)) * w[(c - begin) * g.o];
        }
    maps.epilogue.store(n, o, i, j, sum);
  }
  // The padding behind the channels of each pixel.
  const AnyMap& y = maps.epilogue.y;
  const int f = maps.epilogue.shuffle, channels = g.o / (f * f);
  if (y.dtype != DType::f16 || channels < 8) return;
  for (int c = channels + static_cast<int>(threadIdx.x); c < (channels + 7) / 8 * 8; c += static_cast<int>(blockDim.x))
    for (int k = 0; k < f * f; ++k) y.store(n, c, i * f + k / f, j * f + k % f, 0);
}

}  // namespace

void build_general(const ConvTask& task, Step& step) {
  const ConvGeometry g = task.geometry;
  const int lanes = std::min(g.o, 128), pixels = 128 / lanes;
  const LaunchShape shape{.grid = dim3(static_cast<unsigned>((g.ow + pixels - 1) / pixels), static_cast<unsigned>(g.oh),
                                       static_cast<unsigned>(task.io.out.desc.n())),
                          .block = dim3(static_cast<unsigned>(lanes), static_cast<unsigned>(pixels))};
  step.run = [=, weight = task.weight_by_taps(), operands = ConvOperands(task)](const RunArgs& args) {
    launch(conv_general_kernel, shape, static_cast<cudaStream_t>(args.stream), operands.at(args), g, weight.get());
  };
}

}  // namespace fathom::gpu
