// A graph in which every op occurs, with every field away from its default: for tests and as a seed for fuzzing.
#pragma once

#include <string>
#include <vector>

#include "models/network.hpp"

namespace fathom {

struct EveryOp {
  Weights weights;
  Graph graph;
  Value image, features;

  Value weight(const std::string& key, const Desc& desc) {
    weights[key] = std::make_shared<Constant>(Constant{desc, nullptr});
    return graph.add_constant(key, weights[key]);
  }
  Value op(Op op, std::vector<Value> in, const std::string& name) {
    return graph.add(std::move(op), std::move(in), name);
  }
  // Constants stand before the node that reads them, in the order of its parameters.
  void norm(Value x, int c, const std::string& key) {
    std::vector<Value> in = {x};
    for (const char* part : {"weight", "bias", "running_mean", "running_var"})
      in.push_back(weight(key + "." + part, Desc::dense({c})));
    op(BatchNorm{.eps = 1e-3f, .activation = {ActivationKind::relu6}}, in, key);
  }

  EveryOp() {
    image = graph.add_input("image", Desc::nhwc(2, 3, 24, 40, DType::u8));
    image = op(Preprocess{{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}}, {image}, "image.normalised");
    features = graph.add_input("features", Desc::nhwc(2, 8, 24, 40));

    Conv2d conv{.stride = {2, 1}, .padding = {1, 2, 3, 0}, .dilation = {1, 2}, .groups = 2, .bias = true};
    conv.activation = {ActivationKind::leaky_relu, 0.1f};
    const Value w = weight("conv.weight", Desc::dense({6, 4, 3, 3})), b = weight("conv.bias", Desc::dense({6}));
    op(conv, {features, w, b}, "conv");

    // All that passes fill in.
    Conv2d fused{.padding = 1};
    fused.sources = {Source{.resize = {ResizeMode::bilinear, 0, {48, 80}, true}, .pad_mode = PadMode::reflect},
                     Source{.resize = {ResizeMode::nearest, 2}, .pad_mode = PadMode::replicate}};
    fused.gate = fused.residual = fused.residual_last = fused.reciprocal = true;
    fused.result = {0.5f, 2}, fused.crop = {1, 3};
    const Value gate_of = op(Concat{}, {image, features}, "together");
    const Value gate = op(GlobalMean{}, {gate_of}, "gate");
    const Value addend = op(Resize{ResizeMode::nearest, {2, 2}}, {features}, "addend");
    fused.mean = true;
    op(fused, {image, features, gate, addend, weight("fused.weight", Desc::dense({8, 11, 3, 3}))}, "fused");

    Conv2d gated{.bias = true, .mean = true};
    gated.excitation = {2, 1, true, {ActivationKind::relu}, {ActivationKind::elu, 0.5f}};
    const Value gw = weight("gated.weight", Desc::dense({8, 8, 1, 1})), gb = weight("gated.bias", Desc::dense({8}));
    const Value g1 = weight("gated.squeeze", Desc::dense({3, 19})), g2 = weight("gated.squeeze_bias", Desc::dense({3}));
    const Value g3 = weight("gated.excite", Desc::dense({8, 3}));
    op(gated, {features, gate, gw, gb, g1, g2, g3, weight("gated.excite_bias", Desc::dense({8}))}, "gated");

    const InvertedResidual block{.stride = {2, 1},
                                 .padding = {1, 0, 1, 2},
                                 .residual = false,
                                 .expand_activation = {ActivationKind::relu6},
                                 .depth_activation = {ActivationKind::hard_swish},
                                 .activation = {ActivationKind::leaky_relu, 0.3f}};
    const Value bw = weight("block.expand_weight", Desc::dense({10, 8, 1, 1}));
    const Value bb = weight("block.expand_bias", Desc::dense({10})), bd = weight("block.weight", Desc::dense({10, 1, 3, 3}));
    const Value bdb = weight("block.bias", Desc::dense({10})), bp = weight("block.project_weight", Desc::dense({4, 10, 1, 1}));
    op(block, {features, bw, bb, bd, bdb, bp, weight("block.project_bias", Desc::dense({4}))}, "block");
    InvertedResidual depthwise{.padding = 1, .expand = false, .project = true, .residual = true};
    const Value dw = weight("part.weight", Desc::dense({8, 1, 3, 3})), db = weight("part.bias", Desc::dense({8}));
    const Value dp = weight("part.project_weight", Desc::dense({8, 8, 1, 1}));
    op(depthwise, {features, dw, db, dp, weight("part.project_bias", Desc::dense({8}))}, "part");
    const Value ow = weight("only.weight", Desc::dense({8, 1, 3, 3})), ob = weight("only.bias", Desc::dense({8}));
    op(InvertedResidual{.padding = 1, .expand = false, .project = false}, {features, ow, ob}, "only");

    const Pool windows{.kernel = {3, 2}, .stride = {2, 1}, .padding = 1, .ceil_mode = true};
    const ConvPool stem{.stride = {1, 2},
                        .padding = {3, 2, 1, 0},
                        .sources = {Source{.resize = {ResizeMode::bilinear, 2}, .pad_mode = PadMode::reflect}},
                        .activation = {ActivationKind::leaky_relu, 0.2f},
                        .pool = windows};
    const Value tw = weight("stem.weight", Desc::dense({8, 3, 3, 5}));
    op(stem, {image, tw, weight("stem.bias", Desc::dense({8}))}, "stem");

    ConvTranspose2d up{.stride = 2, .padding = 1, .output_padding = {1, 0}, .dilation = 2, .groups = 4, .bias = true};
    up.activation = {ActivationKind::elu, 0.5f};
    const Value uw = weight("up.weight", Desc::dense({8, 1, 3, 3})), ub = weight("up.bias", Desc::dense({4}));
    op(up, {features, uw, ub}, "up");

    Linear linear{.bias = true, .activation = {ActivationKind::hard_swish}};
    const Value lw = weight("fc.weight", Desc::dense({8, 11})), lb = weight("fc.bias", Desc::dense({8}));
    const Value scores = op(linear, {gate, lw, lb}, "fc");
    const Value sw = weight("se.weight", Desc::dense({2, 8})), sb = weight("se.bias", Desc::dense({2}));
    const Value ew = weight("se.excite_weight", Desc::dense({8, 2})), eb = weight("se.excite_bias", Desc::dense({8}));
    op(ChannelGate{.bias = true, .squeeze_activation = {ActivationKind::relu}, .activation = {ActivationKind::sigmoid}},
       {features, sw, sb, ew, eb}, "se");
    norm(features, 8, "bn");
    op(Activation{ActivationKind::elu, 2}, {image}, "elu");
    const Value pw = weight("pool.weight", Desc::dense({3})), pb = weight("pool.bias", Desc::dense({3}));
    op(Pool{PoolKind::average, 3, 2, 1, true, false, true, {ActivationKind::elu, 0.5f}}, {image, pw, pb}, "pool");
    op(PoolChain{3, 2, {ActivationKind::relu6}}, {features, weight("chain.weight", Desc::dense({3, 8}))}, "chain");
    op(Add{{ActivationKind::relu}}, {features, features, features}, "sum");
    op(Multiply{{ActivationKind::sigmoid}}, {features, scores}, "product");
    op(Affine{2.5f, -0.1f}, {features}, "affine");
    op(PixelShuffle{2}, {features}, "shuffled");
    op(Pad{{1, 2, 3, 4}, PadMode::replicate}, {features}, "padded");
    const Value guide = op(Slice{1, 2, 1}, {features}, "guide");
    op(Reshape{4, 24, 80}, {features}, "reshaped");
    const Value smooth = op(BoxFilter{3}, {features}, "smooth");
    op(GuidedFilter{2, 1e-4f}, {smooth, guide, guide}, "guided");
    const Value depth = op(DisparityToDepth{0.5f, 80}, {guide}, "depth");
    graph.outputs = {{"depth", depth, OutputKind::depth, 0.01f}, {"features", smooth, OutputKind::tensor}};
  }
};

}  // namespace fathom
