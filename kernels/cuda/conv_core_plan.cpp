#include "kernels/cuda/conv_core_plan.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "fathom/error.hpp"

namespace fathom::gpu {

namespace {

constexpr int kStepBytes = 32, kChunkBytes = 16, kPlaceBytes = 12, kSumsPad = 8;
constexpr int kStaticBytes =
    1024;  // beside the launch's own: the last block's flag, up to the alignment of what follows

int round_up(int x, int to) { return (x + to - 1) / to * to; }
int quotient_up(int x, int by) { return (x + by - 1) / by; }

TapAxis tap_axis(int outputs, int kernel, int stride, int dilation, int before, int total_outputs, bool together) {
  TapAxis axis{.outputs = outputs, .stride = stride, .dilation = dilation, .before = before};
  axis.last = (total_outputs - 1) * stride + (kernel - 1) * dilation - before;
  if (together) {
    axis.taps = kernel, axis.pitch = stride, axis.tap_pitch = dilation;
  } else {
    axis.groups = kernel, axis.unit = stride;
  }
  axis.places = (axis.outputs - 1) * axis.pitch + (axis.taps - 1) * axis.tap_pitch + 1;
  return axis;
}

StageTaps stage_taps(const ConvTiling& t, bool centre) {
  const int row = t.rows.tap_pitch * t.columns.places * kChunkBytes, column = t.columns.tap_pitch * kChunkBytes;
  StageTaps taps{
      .last_group_h = t.rows.groups, .last_group_w = t.columns.groups, .rows = t.rows.taps, .columns = t.columns.taps};
  if (centre) {
    taps.first_group_h = t.rows.groups / 2, taps.last_group_h = taps.first_group_h + 1;
    taps.first_group_w = t.columns.groups / 2, taps.last_group_w = taps.first_group_w + 1;
    taps.first_bytes = t.rows.taps / 2 * row + t.columns.taps / 2 * column;
    taps.rows = taps.columns = 1;
  }
  taps.steps = taps.rows * taps.columns, taps.column_bytes = column;
  taps.row_bytes = row - taps.columns * column, taps.plane_bytes = 2 * t.chunk_bytes - taps.rows * row;
  return taps;
}

// Offsets in a stage and in shared memory, and how many stages there are.
void lay_out(ConvPlan& plan, const ConvProblem& p) {
  ConvTiling& t = plan.tiling;
  const BlockSize& size = plan.size();
  t.tiles_h = quotient_up(p.outputs_h, t.rows.outputs), t.tiles_w = quotient_up(p.outputs_w, t.columns.outputs);
  t.channel_blocks = quotient_up(p.columns, size.n);
  if (p.phases) t.phase_blocks = t.channel_blocks, t.channel_blocks *= 4;
  const int apart = 128 / std::min(8, 2 * t.planes);
  // Eight threads write eight chunks at once, those of a place first: each begins where the others leave banks free.
  t.chunk_bytes = round_up(t.rows.places * t.columns.places * kChunkBytes - apart, 128) + apart;
  t.weight_offset = round_up(2 * t.planes * t.chunk_bytes, 128);
  t.taps[0] = stage_taps(t, false), t.taps[1] = stage_taps(t, true);
  t.stage_bytes = t.weight_offset + t.planes * t.rows.taps * t.columns.taps * size.n * kStepBytes;
  t.stage_count = t.step_count = 0;
  int all_planes = 0;
  for (const ConvProblem::Source& s : p.sources) {
    t.stage_count += quotient_up(s.planes, t.planes) * (s.centre ? 1 : t.rows.groups * t.columns.groups);
    t.step_count += s.planes * (s.centre ? 1 : p.kernel_h * p.kernel_w);
    all_planes += s.planes;
  }
  const int places = t.rows.groups * t.rows.places + t.columns.groups * t.columns.places;
  t.prologue_offset = round_up(static_cast<int>(p.sources.size()) * places * kPlaceBytes, 128);
  t.ring_offset =
      round_up(t.prologue_offset + p.prologue_vectors * all_planes * elements_per_step(p.arithmetic) * 4, 128);
  const int sums_bytes = size.m * (size.n + kSumsPad) * 4;
  plan.shared_bytes = t.ring_offset + std::max(t.stages * t.stage_bytes, sums_bytes);
}

// Multiply-adds per cycle of one multiprocessor.
double multiply_adds_per_cycle(const GpuInfo& gpu, Arithmetic a) {
  const bool datacentre = gpu.minor == 0;  // 8.0 and 9.0
  if (a == Arithmetic::float32) return gpu.major == 9 || (gpu.major == 8 && !datacentre) ? 128 : 64;
  // 9.0: mma.sync reaches 62 percent of the 2048 that wgmma has.
  const double half = gpu.major >= 9 ? 1280 : gpu.major == 8 && datacentre ? 1024 : 512;
  return a == Arithmetic::half ? half : half / 2;
}

// Instructions, counted from the machine code for sm_90.
struct Instructions {
  double step;                                              // of a warp and k-step
  static constexpr double kActivations = 22, kWeights = 5;  // of a warp, for a chunk of each of its lanes
  static constexpr double kStage = 200;                     // of a warp: what to load, and where to find it

  Instructions(const BlockSize& size, const ConvProblem& p) {
    const double warp_m = size.m / size.warps_m, warp_n = size.n / size.warps_n;
    if (p.arithmetic == Arithmetic::float32) {  // FFMA, loads of 16 bytes, the walk through taps
      step = warp_m / 8 * warp_n / 4 * 8 + 2 * (warp_m / 8 + warp_n / 4) + 30;
    } else {  // mma, ldmatrix, the walk; a prologue's conversions to float32 and back
      step = warp_m / 16 * warp_n / 8 + warp_m / 16 + warp_n / 16 + 12;
      if (p.prologue_vectors > 0) step += 10 + warp_m / 16 * 28;
    }
  }
};

// One stage of one block, in cycles of a multiprocessor that it has to itself.
struct StageCost {
  double bytes, cycles;
  double alone;  // what its warps need even if they never wait for each other

  StageCost(const ConvPlan& plan, const ConvProblem& p, const GpuInfo& gpu) {
    const ConvTiling& t = plan.tiling;
    const BlockSize& size = plan.size();
    const double warp_m = size.m / size.warps_m, warp_n = size.n / size.warps_n, warps = size.warps();
    const double steps = t.planes * t.rows.taps * t.columns.taps, places = t.rows.places * t.columns.places;
    const double activations = t.planes * places * 2, weights = steps * size.n * 2;  // chunks
    const double products =
        steps * size.m * size.n * elements_per_step(p.arithmetic) / multiply_adds_per_cycle(gpu, p.arithmetic);
    // From shared memory: every row of a fragment once; by FFMA, four cycles for each access of a warp.
    const double fragments = p.arithmetic != Arithmetic::float32
                                 ? (warp_m * bank_turns(t) + warp_n) * kStepBytes / kSharedBytes
                                 : 2 * 4 * (warp_m / 8 + warp_n / 4);
    const Instructions each(size, p);
    const double loading = activations / 32 * each.kActivations + weights / 32 * each.kWeights + warps * each.kStage;
    // Memory is read in bursts: each row of a tile begins and ends inside one.
    bytes = (activations + weights) * kChunkBytes + t.rows.places * 64;
    const double parts[] = {products, warps * steps * fragments + bytes / kSharedBytes,
                            (warps * steps * each.step + loading) / 4, bytes / kGlobalBytes};
    const double most = *std::max_element(std::begin(parts), std::end(parts));
    // What is not the bottleneck hides behind it, but never wholly.
    cycles = most + 0.25 * (std::accumulate(std::begin(parts), std::end(parts), 0.0) - most) + kBarrier;
    // A warp has a quarter of the multiprocessor. It issues in every other cycle at most, and between its k-steps it
    // waits for fragments a little.
    alone = kBarrier + steps * 20 + products / warps * 4 + 2 * loading / warps;
  }

  static constexpr double kGlobalBytes = 28, kBarrier = 60;  // from the L2 cache, per cycle and multiprocessor
  static constexpr double kSharedBytes = 128;
};

// How many blocks a multiprocessor holds at once.
double resident_blocks(const ConvPlan& plan, const GpuInfo& gpu) {
  const int threads = plan.size().threads();
  const double registers = std::max(128.0, plan.size().m * plan.size().n / static_cast<double>(threads) + 85);
  const double shared = static_cast<double>(gpu.shared_bytes) + 1024,
               each = static_cast<double>(plan.shared_bytes) + 2048;
  const double resident_threads = gpu.major == 7 ? 1024 : 2048;
  return std::max(1.0,
                  std::floor(std::min({shared / each, 65536 / (registers * threads), resident_threads / threads})));
}

// How long the launch takes, in cycles. The figures are rough: they need only tell plans apart.
double cycles_of(const ConvPlan& plan, const ConvProblem& p, const GpuInfo& gpu) {
  constexpr double kLatency = 700, kSetup = 900;
  const ConvTiling& t = plan.tiling;
  const StageCost stage(plan, p, gpu);
  const double stages = std::ceil(static_cast<double>(t.stage_count) / t.splits), ahead = t.stages - 1;
  const double sums_bytes = plan.size().m * plan.size().n * 4.0, moved = sums_bytes / StageCost::kGlobalBytes;
  const double split = t.splits > 1 ? 2 * kLatency + moved * (1 + t.splits) : 0;
  // So many blocks on each multiprocessor: the first stage arrives, then computing or waiting, then storing.
  const auto wave = [&](double blocks) {
    return kSetup + kLatency + blocks * stage.bytes / StageCost::kGlobalBytes +
           stages * std::max({blocks * stage.cycles, stage.alone, kLatency / ahead}) +
           blocks * (sums_bytes * 2 / StageCost::kSharedBytes + moved) + split;
  };
  const double blocks = static_cast<double>(plan.blocks(p)) * t.splits, sms = gpu.multiprocessors;
  const double together = resident_blocks(plan, gpu);
  const double full = std::floor(blocks / (sms * together)), rest = blocks - full * sms * together;
  return full * wave(together) + (rest > 0 ? wave(std::ceil(rest / sms)) : 0);
}

}  // namespace

int bank_turns(const ConvTiling& t) {
  int places[8] = {};  // by bank, eight at once
  for (int output = 0; output < 8; ++output) {
    const int h = output >> t.log2_width, w = output & ((1 << t.log2_width) - 1);
    ++places[(h * t.rows.pitch * t.columns.places + w * t.columns.pitch) % 8];
  }
  return *std::max_element(std::begin(places), std::end(places));
}

std::string to_text(const ConvPlan& plan) {
  const ConvTiling& t = plan.tiling;
  const auto product = [](int a, int b) { return std::to_string(a) + "x" + std::to_string(b); };
  std::string text = product(plan.size().m, plan.size().n) + " (" + product(t.rows.outputs, t.columns.outputs) +
                     " pixels), " + product(t.rows.taps, t.columns.taps) + " taps, " + std::to_string(t.planes) +
                     (t.planes > 1 ? " planes, " : " plane, ") + std::to_string(t.stages) + " stages";
  if (t.phase_blocks > 0) text += ", 4 phases";
  if (t.splits > 1) text += ", split " + std::to_string(t.splits);
  return text;
}

void for_each_plan(const ConvProblem& p, const GpuInfo& gpu, const std::function<void(const ConvPlan&)>& f) {
  int most_planes = 1;
  for (const ConvProblem::Source& s : p.sources) most_planes = std::max(most_planes, s.planes);
  const auto with_splits = [&](ConvPlan plan) {
    lay_out(plan, p);
    if (plan.shared_bytes + kStaticBytes > gpu.shared_bytes) return;
    for (int splits = 1; splits <= std::min(plan.tiling.stage_count, 32); splits += splits < 4 ? 1 : splits / 2) {
      if (splits > 1 && plan.blocks(p) * (splits - 1) >= 2 * gpu.multiprocessors) break;  // there are enough blocks
      plan.tiling.splits = splits;
      plan.cycles = cycles_of(plan, p, gpu);
      f(plan);
    }
  };
  const auto with_ring = [&](const ConvPlan& plan) {
    for (int log2_planes = 0; log2_planes < 4 && (log2_planes == 0 || 1 << log2_planes < 2 * most_planes);
         ++log2_planes)
      for (int stages = 2; stages <= 4; ++stages) {
        ConvPlan next = plan;
        next.tiling.planes = 1 << log2_planes, next.tiling.log2_planes = log2_planes, next.tiling.stages = stages;
        with_splits(next);
      }
  };
  const auto with_taps = [&](ConvPlan plan, int height, int width) {
    for (const bool rows : {false, true})
      for (const bool columns : {false, true}) {
        if ((rows && p.kernel_h == 1) || (columns && p.kernel_w == 1)) continue;
        ConvTiling& t = plan.tiling;
        t.rows = tap_axis(height, p.kernel_h, p.stride_h, p.dilation_h, p.top, p.outputs_h, rows);
        t.columns = tap_axis(width, p.kernel_w, p.stride_w, p.dilation_w, p.left, p.outputs_w, columns);
        if (p.phases) ++t.rows.last, ++t.columns.last;
        with_ring(plan);
      }
  };
  for (int block = 0; block < kBlockSizes; ++block) {
    const int m = block_sizes[block].m;
    for (int log2_width = 0, width = 1; width <= m; ++log2_width, width *= 2) {
      if (width >= 2 * p.outputs_w && width > 1) break;                                // half of it overhangs
      if (m / width >= 2 * p.outputs_h && width < p.outputs_w && width < m) continue;  // it could be wider instead
      ConvPlan plan;
      plan.block = block;
      plan.tiling.log2_width = log2_width;
      with_taps(plan, m / width, width);
    }
  }
}

ConvPlan best_plan(const ConvProblem& problem, const GpuInfo& gpu) {
  // Blocks that share a sum need memory for its parts. So little gain is not worth it, and the model is no better.
  constexpr double kWorthMemory = 0.85;
  ConvPlan best, unsplit;
  best.cycles = unsplit.cycles = INFINITY;
  for_each_plan(problem, gpu, [&](const ConvPlan& plan) {
    if (plan.cycles < best.cycles) best = plan;
    if (plan.tiling.splits == 1 && plan.cycles < unsplit.cycles) unsplit = plan;
  });
  if (best.cycles >= kWorthMemory * unsplit.cycles) best = unsplit;
  if (best.cycles == INFINITY)
    throw Error(ErrorKind::unsupported, "CUDA: a convolution of " + std::to_string(problem.sources.size()) +
                                            " sources finds no room in the GPU's shared memory; keep some Concat");
  return best;
}

}  // namespace fathom::gpu
