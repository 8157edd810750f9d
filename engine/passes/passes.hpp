// Graph -> Graph: what is computed stays the same (up to rounding), fewer nodes are left to run. Every fused graph
// still runs on the reference backend. Constants that a pass derives are lazy: nothing is computed until a backend
// packs them.
#pragma once

#include "engine/graph.hpp"

namespace fathom {

// What a backend's Conv2d can take on besides the plain convolution.
struct Fusions {
  bool preprocess = true;     // a photograph (u8) as source, normalised on the way in
  bool padding = true;        // reflection and replication instead of zeros
  bool epilogue = true;       // a residual, then an activation of any kind, where the result is stored
  bool gather = true;         // several sources, resized on the way in
  bool gate = true;           // a per-channel factor on the way in
  bool products = true;       // convolutions of enlarged maps by products at the small size
  bool prologue = true;       // a norm and an activation between a source and a 1x1 convolution
  bool addend = true;         // a resized map added where the result is stored
  bool shuffle = true;        // a pixel shuffle as the order in which the result is stored
  bool output_gate = true;    // a per-channel factor of the result, before what is added
  bool branches = true;       // the sum of two convolutions as one, over the sources of both
  bool channel_gate = true;   // mean, two linear layers and their activations as one ChannelGate
  bool means = true;          // the means of its map as a second output
  bool early_gates = true;    // and the gate that is made of them
  bool transposes = true;     // transposed convolutions of stride 1 as convolutions
  bool phases = true;         // convolutions of maps twice enlarged by repetition, by products at the small size
  bool residual_last = true;  // what is added after the activation, and a second map of the output's size
  bool result = true;         // a scale and a shift, or the reciprocal, where the result is stored
  bool crop = true;           // the last rows and columns are not made
  bool sums = true;           // sums of more than two maps
  bool chains = true;         // chained residual pooling as one PoolChain
  bool stems = true;          // a first convolution and the pooling behind it as one ConvPool
  bool blocks = true;         // depthwise convolutions and the 1x1 ones round them as one InvertedResidual
  bool split = true;          // sums of few channels begun early, so that the maps they come from can go
};

// 0. A transposed convolution of stride 1 is a convolution with turned weights.
Graph turn_transposes(Graph graph);
// 1. conv -> norm becomes one convolution with scaled weights. A norm behind anything else stays.
Graph fold_batch_norm(Graph graph);
// 2. pad -> conv: the convolution reads beyond the border itself.
Graph merge_padding(Graph graph);
// 2b. preprocess -> conv: the convolution reads the photograph itself, where nothing but convolutions does.
Graph merge_preprocess(Graph graph);
// 1b. norm -> (activation ->) 1x1 conv: both are applied as the convolution reads.
Graph merge_prologue(Graph graph);
// 1c. pool -> norm: the pool's own end. Chained residual pooling whose products are one factor a channel: a PoolChain.
Graph merge_pools(Graph graph, const Fusions& fusions = {});
// 3. conv -> (gate ->) (shuffle ->) (add ->) activation: all is done where the result is stored. What is added is a map
// of the output's size, a resized one, or another convolution's sum, which then takes the same products.
Graph merge_epilogue(Graph graph, const Fusions& fusions = {});
// 3b. conv -> scale and shift, depth of a disparity, slice of the first rows and columns: as the result is stored, or
// by other weights.
Graph merge_results(Graph graph, const Fusions& fusions = {});
// 3c. a + b + ... as one Add, where the sums between have no other reader.
Graph merge_sums(Graph graph);
// 4. resize, concat -> conv: the convolution gathers its sources; neither the enlarged nor the joined map is stored.
Graph gather_sources(Graph graph);
// 6. A convolution of few output channels over several sources, in two parts: what is known early is added up early, by
// a node with ".early" behind its name. Those named in `whole` stay as they are.
Graph split_sources(Graph graph, const std::vector<std::string>& whole = {});
// 8b. A convolution of an enlarged map beside others, in two parts, where products saved are worth more than the map
// between: bytes moved in the time of so many operations, and in that of a launch.
struct Rates {
  double flops_per_byte = 70;       // an H200's fp16: 300 TFLOP/s that mma.sync reaches, 4.3 TB/s
  double launch_bytes = 5.6e6;      // 1.3 us
  double worth = 0.7;               // of the cost, what is left at most: short sums lose a part of what is counted
  double depth_flops_per_byte = 5;  // of depthwise convolutions: 20 TFLOP/s without tensor cores, out of halves
  double blocks = 264;              // of threads that keep it busy: two a multiprocessor
};
Graph split_enlarged(Graph graph, const Rates& rates = {});
// 6b. 1x1 -> depthwise -> 1x1, or two of these, as one InvertedResidual, where what is computed twice at the borders of
// its tiles, and a GPU that few tiles leave idle, cost less than the maps between and their launches.
Graph merge_inverted_residuals(Graph graph, const Rates& rates = {});
// 6c. A first convolution and the pooling of maxima behind it as one ConvPool, where nothing else reads the map between and
// what tiles compute twice at their borders costs less than to store that map, to read it and to launch once more.
Graph merge_conv_pools(Graph graph, const Rates& rates = {});
// Not done, by the convolution core's own cost model (kernels/cuda/conv_core_plan.cpp; H200, fp16, HR-Depth): a 1x1
// convolution composed into the 3x3 one after it (+5, -4 and +10 % of the time at batch 1, +11, -2 and +12 % at 32:
// less is moved, for 1.4 to 1.6 times the products), and one moved below an upsample beside other sources (+7 to +15 %
// at batch 1, -12 to 0 % at 32: a launch and a map more).

// 7b. linear(linear) = one; mean -> linear -> linear is a ChannelGate.
Graph merge_channel_gates(Graph graph);
// 7c. The means that gates and GlobalMeans ask for, by the convolutions that make the maps: those whose channels are a
// multiple of so many, as kernels store them.
Graph take_means(Graph graph, int channels = 8);
// 7d. Small gates by the convolution that makes the last of their means: as nodes are ordered, so it comes behind
// everything that changes their order, and is no part of fuse().
Graph make_gates_early(Graph graph);
// 7. mean(1x1 conv) = 1x1 conv(mean), so that a gate need not wait for the map that it gates.
Graph lower_means_of_convolutions(Graph graph);
// 7. mean(concat) = concat(mean), mean(up(x)) = mean(x); x * gate (-> activation) -> conv: both are applied as the
// convolution reads.
Graph merge_gates(Graph graph, const Fusions& fusions = {});
// 8. conv(up(x)): each tap's product is taken at x's own size and enlarged afterwards, where that is less work.
Graph lower_products(Graph graph);
// 9. Drops what no output needs.
Graph remove_dead(Graph graph);

// Keeps the named outputs, or the primary one when the list is empty. Throws Error{usage} naming an unknown one.
Graph select_outputs(Graph graph, const std::vector<std::string>& names);
// Makes every output a value of its own, laid out as the caller wants it (N, C, H, W): many-channel outputs and outputs
// that are used twice get a Reshape that copies them out.
Graph finish_outputs(Graph graph);

// Types and padding of a GPU's fp16, as in_halves has them; outputs stay float32.
Graph store_halves(Graph graph);

// All passes that a backend can use, in order.
Graph fuse(Graph graph, const Fusions& fusions);

// Of a node that moves or scales elements and stands by itself after all passes, why; else empty.
std::string why_alone(const Graph& graph, const Node& node);

}  // namespace fathom
