// Passes change how a network runs and not what it computes: random graphs, before and after, on the reference backend.
#include <cmath>
#include <map>
#include <random>
#include <set>

#include "engine/program.hpp"
#include "engine/synthetic.hpp"
#include "tests/catch.hpp"

using namespace fathom;

namespace {

// Grows a random network of the layers that decoders and encoders are made of.
class RandomNetwork {
 public:
  explicit RandomNetwork(unsigned seed) : random_(seed) {}

  Graph build() {
    const Value image = graph_.add_input("image", Desc::nhwc(2, 3, 12, 10, DType::u8));
    maps_.push_back(graph_.add(Preprocess{{0.45f}, {0.225f}}, {image}, "input"));
    for (int k = 0; k < 17; ++k) maps_.push_back(layer());
    graph_.outputs.push_back({"last", maps_.back()});
    graph_.outputs.push_back({"some", maps_[maps_.size() / 2]});
    return graph_;
  }

 private:
  int pick(int count) { return static_cast<int>(random_() % static_cast<unsigned>(count)); }
  Value any() {
    return maps_[maps_.size() - 1 - static_cast<std::size_t>(pick(std::min<int>(3, static_cast<int>(maps_.size()))))];
  }
  const Desc& desc(Value v) { return graph_[v].desc; }
  std::string name(const char* what) { return std::string(what) + std::to_string(counter_++); }

  Value constant(const std::string& key, const Desc& shape) {
    return graph_.add_constant(key, Constant::of(shape, synthetic_parameter(key, shape)));
  }
  Value conv(Value x, int out, int kernel, int padding, bool bias) {
    const std::string key = name("conv");
    std::vector<Value> in = {x, constant(key + ".weight", Desc::dense({out, desc(x).c(), kernel, kernel}))};
    if (bias) in.push_back(constant(key + ".bias", Desc::dense({out})));
    Conv2d op{.padding = padding};
    op.bias = bias;
    return graph_.add(op, in, key);
  }
  Value norm(Value x) {
    const std::string key = name("bn");
    std::vector<Value> in = {x};
    for (const char* part : {"weight", "bias", "running_mean", "running_var"})
      in.push_back(constant(key + "." + part, Desc::dense({desc(x).c()})));
    return graph_.add(BatchNorm{}, in, key);
  }
  Value activation(Value x) {
    const ActivationKind kinds[] = {ActivationKind::relu, ActivationKind::elu, ActivationKind::sigmoid,
                                    ActivationKind::hard_swish};
    return graph_.add(Activation{kinds[pick(4)]}, {x}, name("act"));
  }
  Value gated(Value x) {
    Value y = graph_.add(GlobalMean{}, {x}, name("mean"));
    const std::string key = name("fc");
    y = graph_.add(Linear{}, {y, constant(key + ".weight", Desc::dense({desc(x).c(), desc(x).c()}))}, key);
    y = graph_.add(Activation{ActivationKind::sigmoid}, {y}, name("gate"));
    return graph_.add(Multiply{}, {x, y}, name("scaled"));
  }

  Value layer() {
    const Value x = any();
    const int c = static_cast<int>(desc(x).c());
    switch (pick(23)) {
      case 0: return conv(x, 1 + pick(6), 3, 1, pick(2));
      case 1: return norm(conv(x, 1 + pick(6), 1 + 2 * pick(2), pick(2), pick(2)));
      case 2: return activation(pick(2) ? norm(conv(x, 4, 3, 1, false)) : x);
      case 3: {  // reflection or replication
        const Value padded =
            graph_.add(Pad{.padding = 1, .mode = pick(2) ? PadMode::reflect : PadMode::replicate}, {x}, name("pad"));
        return activation(conv(padded, 3, 3, 0, true));
      }
      case 4: {  // residual, of a convolution or of two
        const Value y = conv(x, c, 3, 1, true);
        const Value sum = graph_.add(Add{}, {pick(2) ? x : norm(conv(x, c, 1, 0, false)), y}, name("add"));
        return pick(2) ? activation(sum) : sum;
      }
      case 5: {  // a decoder's step: up, cat, conv
        const Resize up = pick(2) ? Resize{.mode = ResizeMode::nearest, .scale = 2}
                                  : Resize{.mode = ResizeMode::bilinear, .scale = 2, .align_corners = pick(2) == 1};
        const Value small = graph_.add(Pool{.kind = PoolKind::max, .kernel = 2, .stride = 2}, {x}, name("pool"));
        Value large = graph_.add(up, {small}, name("up"));
        const Desc to = desc(x);
        if (!desc(large).same_extents(to))
          large = graph_.add(
              Resize{.mode = ResizeMode::bilinear, .size = {static_cast<int>(to.h()), static_cast<int>(to.w())}},
              {large}, name("fit"));
        const Value cat = graph_.add(Concat{}, {large, x}, name("cat"));
        const Value padded = graph_.add(Pad{.padding = 1, .mode = PadMode::reflect}, {cat}, name("pad"));
        return conv(padded, pick(2) ? 4 : 9, 3, 0, true);
      }
      case 6: return conv(pick(2) ? gated(x) : activation(gated(x)), 1 + pick(5), 1 + 2 * pick(2), pick(2), true);  // fSE, MobileNetV3
      case 7: {                                                // fSE over a concat of an enlarged map
        const Value small = graph_.add(Pool{.kind = PoolKind::average, .kernel = 2, .stride = 2}, {x}, name("pool"));
        const Value large = graph_.add(Resize{.mode = ResizeMode::nearest, .scale = 2}, {small}, name("up"));
        if (!desc(large).same_extents(desc(x))) return activation(x);
        return activation(conv(gated(graph_.add(Concat{}, {large, x}, name("cat"))), 5, 1, 0, true));
      }
      case 8: {  // pre-activation (DenseNet)
        const Value y = conv(activation(norm(x)), 1 + pick(6), 1, 0, pick(2));
        return graph_.add(Concat{}, {x, y}, name("dense"));
      }
      case 9: {  // a residual block whose gate its own map is the mean of (SENet)
        const Value z = norm(conv(activation(conv(x, 3, 3, 1, true)), c, 1, 0, pick(2)));
        return activation(graph_.add(Add{}, {excited(z, 2), x}, name("residual")));
      }
      case 10: {  // a residual block with a downsample branch
        const int stride = 1 + pick(2), kernel = 1 + 2 * pick(2), out = 1 + pick(6);
        const Value a = norm(strided(activation(strided(x, 4, 3, stride)), out, kernel, 1));
        const Value b = norm(strided(x, out, 1, stride));
        const Value sum = activation(graph_.add(Add{}, {a, b}, name("branches")));
        if (desc(sum).same_extents(desc(x)) || stride == 1) return sum;
        const Desc to = desc(x);
        return graph_.add(Resize{.mode = ResizeMode::bilinear, .size = {static_cast<int>(to.h()), static_cast<int>(to.w())}}, {sum}, name("back"));
      }
      case 11: {  // a correction of an enlarged map (DRNet)
        const Value small = graph_.add(Pool{.kind = PoolKind::max, .kernel = 2, .stride = 2}, {conv(x, 2, 3, 1, true)}, name("pool"));
        const Desc to = desc(x);
        const Value large = graph_.add(Resize{.mode = ResizeMode::bilinear, .size = {static_cast<int>(to.h()), static_cast<int>(to.w())}}, {small}, name("up"));
        return graph_.add(Add{}, {pick(2) ? large : conv(x, 2, 1, 0, false), conv(x, 2, 3, 1, true)}, name("corrected"));
      }
      case 12: {  // up by a pixel shuffle, and down again
        const Value up = graph_.add(PixelShuffle{2}, {norm(conv(x, 8, 1, 0, false))}, name("shuffle"));
        return graph_.add(Pool{.kind = PoolKind::average, .kernel = 2, .stride = 2}, {activation(up)}, name("pool"));
      }
      case 13: {  // few channels from an old map and a new one
        const Value old = conv(maps_[static_cast<std::size_t>(pick(static_cast<int>(maps_.size())))], 8, 1, 0, true);
        const Value fresh = activation(conv(activation(conv(x, 6, 3, 1, true)), 3, 1, 0, false));
        if (!desc(old).same_extents(Desc::nhwc(desc(x).n(), 8, desc(x).h(), desc(x).w()))) return fresh;
        const Value few = conv(graph_.add(Concat{}, {old, fresh}, name("cat")), 1, 3, 1, true);
        return pick(2) ? few : graph_.add(Add{}, {activation(conv(x, 1, 1, 0, true)), few}, name("corrected"));
      }
      case 14: {  // up, a transposed convolution, norm, activation (CND)
        const Value small = graph_.add(Pool{.kind = PoolKind::max, .kernel = 2, .stride = 2}, {x}, name("pool"));
        const Value up = graph_.add(Resize{.mode = ResizeMode::nearest, .scale = 2}, {small}, name("up"));
        const int groups = c % 2 == 0 ? 1 + pick(2) : 1, kernel = 1 + 2 * pick(2), stride = 1 + pick(2);
        const std::string key = name("tconv");
        ConvTranspose2d op{.stride = stride, .padding = pick(kernel), .output_padding = stride - 1, .groups = groups};
        op.bias = pick(2);
        if (desc(up).h() <= 4 || desc(up).w() <= 4 || desc(up).h() > 12) return activation(x);
        std::vector<Value> in = {up, constant(key + ".weight", Desc::dense({c, 2, kernel, kernel}))};
        if (op.bias) in.push_back(constant(key + ".bias", Desc::dense({2 * groups})));
        return activation(norm(graph_.add(op, in, key)));
      }
      case 15: {  // what is added comes after the activation (CND), and once more
        const Value y = graph_.add(Add{}, {x, activation(norm(conv(x, c, 3, 1, false)))}, name("late"));
        return pick(2) ? y : graph_.add(Add{}, {pick(2) ? x : activation(x), y}, name("later"));
      }
      case 16: return chained_pools(x);
      case 17: {  // pool, norm, activation (CND's ASPP)
        const Pool op{.kind = pick(2) ? PoolKind::max : PoolKind::average, .kernel = 3, .stride = 1, .padding = 1};
        const Value y = norm(graph_.add(op, {x}, name("pool")));
        return pick(2) ? activation(y) : y;
      }
      case 18: {  // a head
        const Value y = graph_.add(Activation{ActivationKind::sigmoid}, {conv(x, 1 + pick(2), 3, 1, true)}, name("act"));
        if (pick(2)) return graph_.add(DisparityToDepth{0.5f, 2}, {y}, name("depth"));
        return graph_.add(Affine{2.5f, -0.75f}, {y}, name("scaled"));
      }
      case 19: {  // the image's own size again
        if (desc(x).h() < 10 || desc(x).w() < 9) return activation(x);
        const int h = static_cast<int>(desc(x).h()), w = static_cast<int>(desc(x).w());
        const Value small = graph_.add(Pool{.kernel = 2, .stride = 2}, {conv(x, 2, 1, 0, true)}, name("pool"));
        const Value large = graph_.add(Resize{.mode = ResizeMode::bilinear, .size = {h, w}}, {small}, name("up"));
        Value y = pick(2) ? conv(x, 2, 3, 1, true) : graph_.add(Add{}, {large, conv(x, 2, 3, 1, true)}, name("corrected"));
        y = graph_.add(Slice{.axis = 2, .begin = 0, .count = h - 1}, {y}, name("fit"));
        return graph_.add(Slice{.axis = 3, .begin = 0, .count = w - 2}, {y}, name("fit"));
      }
      case 20: {  // a sum whose terms all have other readers
        const Value a = conv(x, c, 1, 0, false), b = conv(a, c, 1, 0, true), last = conv(b, c, 3, 1, false);
        const Value sum = graph_.add(Add{}, {b, graph_.add(Add{}, {x, a}, name("sum"))}, name("sum"));
        return graph_.add(Add{}, {last, activation(sum)}, name("all"));
      }
      case 21: return inverted_residual(x, desc(x).c() < 8 || pick(2) ? 8 + pick(3) : c);
      case 22: {  // a first convolution and its pool
        const Value y = activation(norm(strided(x, 8, 3, 1 + pick(2))));
        const Value pooled = graph_.add(Pool{.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = pick(2) == 1}, {y}, name("pool"));
        return graph_.add(Resize{.mode = ResizeMode::bilinear, .size = {static_cast<int>(desc(x).h()), static_cast<int>(desc(x).w())}}, {pooled}, name("back"));
      }
      default: return activation(x);
    }
  }
  // MobileNet's blocks, whole or in part
  Value inverted_residual(Value x, int out) {
    if (desc(x).c() < 8) x = activation(conv(x, 8, 1, 0, true));
    const int c = static_cast<int>(desc(x).c()), stride = 1 + pick(2), kernel = 3 + 2 * pick(2);
    const int wide = pick(3) ? 33 : c;
    Value y = wide == c ? x : activation(norm(conv(x, wide, 1, 0, false)));
    const std::string key = name("depthwise");
    const Conv2d depthwise{.stride = stride, .padding = kernel / 2, .groups = wide};
    y = activation(norm(graph_.add(depthwise, {y, constant(key + ".weight", Desc::dense({wide, 1, kernel, kernel}))}, key)));
    if (pick(4)) y = norm(conv(y, out, 1, 0, false));
    if (desc(y).same_extents(desc(x))) y = graph_.add(Add{}, {x, y}, name("residual"));
    if (pick(2)) y = activation(y);
    if (stride == 1) return y;
    return graph_.add(Resize{.mode = ResizeMode::bilinear, .size = {static_cast<int>(desc(x).h()), static_cast<int>(desc(x).w())}}, {y}, name("back"));
  }
  // RefineNet's chained residual pooling, and a factor behind it
  Value factor(Value x) {
    const std::string key = name("factor");
    const int c = static_cast<int>(desc(x).c());
    return graph_.add(Conv2d{.groups = c}, {x, constant(key + ".weight", Desc::dense({c, 1, 1, 1}))}, key);
  }
  Value chained_pools(Value x) {
    const int kernel = 3 + 2 * pick(2), stages = 1 + pick(4);
    Value t = x, sum = x;
    for (int k = 0; k < stages; ++k) {
      t = factor(graph_.add(Pool{.kernel = kernel, .padding = kernel / 2}, {t}, name("round")));
      sum = graph_.add(Add{}, pick(2) ? std::vector{t, sum} : std::vector{sum, t}, name("chain"));
    }
    return pick(2) ? sum : activation(factor(sum));
  }
  Value strided(Value x, int out, int kernel, int stride) {
    const std::string key = name("conv");
    const Desc w = Desc::dense({out, desc(x).c(), kernel, kernel});
    return graph_.add(Conv2d{.stride = stride, .padding = kernel / 2}, {x, constant(key + ".weight", w)}, key);
  }
  // x * gate(W2 relu(W1 mean(x)))
  Value excited(Value x, int hidden) {
    const int c = static_cast<int>(desc(x).c());
    const std::string key = name("se");
    Linear squeeze;
    squeeze.bias = pick(2) == 1;
    std::vector<Value> in = {graph_.add(GlobalMean{}, {x}, name("mean")), constant(key + "1.weight", Desc::dense({hidden, c}))};
    if (squeeze.bias) in.push_back(constant(key + "1.bias", Desc::dense({hidden})));
    Value s = graph_.add(Activation{ActivationKind::relu}, {graph_.add(squeeze, in, key + "1")}, name("relu"));
    s = graph_.add(Linear{}, {s, constant(key + "2.weight", Desc::dense({c, hidden}))}, key + "2");
    return graph_.add(Multiply{}, {x, graph_.add(Activation{ActivationKind::sigmoid}, {s}, name("gate"))}, name("excited"));
  }

  std::mt19937 random_;
  Graph graph_;
  std::vector<Value> maps_;
  int counter_ = 0;
};

// Which of the things that a convolution can take on were met.
struct Seen {
  std::map<std::string, bool> what = {{"photograph", false}, {"gate", false},        {"norm", false},   {"residual", false},     {"addend", false},
                                      {"shuffle", false},    {"output gate", false}, {"activated gate", false}, {"early", false}, {"enlarged", false}, {"stride", false}, {"channel gate", false}, {"centre", false}, {"turned", false},
                                      {"late residual", false}, {"two residuals", false}, {"result", false}, {"reciprocal", false}, {"crop", false}, {"cropped addend", false}, {"scaled pool", false}, {"pooled convolution", false}, {"chain", false}, {"factor of a chain", false}, {"sum of three", false},
                                      {"whole block", false}, {"block with residual", false}, {"block of stride 2", false}, {"expand alone", false}, {"project alone", false},
                                      {"mean", false}, {"means of a gate", false}, {"early gate", false}};
  void note(const Node& node) {
    const Op& op = node.op;
    if (node.name.ends_with(".early")) what["early"] = true;
    if (node.name.ends_with(".enlarged")) what["enlarged"] = true;
    if (std::holds_alternative<ChannelGate>(op)) what["channel gate"] = true;
    const auto meet = [&](const char* name, bool met) { what[name] = what[name] || met; };
    if (const auto* pool = std::get_if<Pool>(&op)) meet("scaled pool", pool->affine);
    if (std::holds_alternative<ConvPool>(op)) what["pooled convolution"] = true;
    if (const auto* chain = std::get_if<PoolChain>(&op)) meet("chain", chain->stages == 4), meet("factor of a chain", node.name.starts_with("factor") || chain->activation.kind != ActivationKind::none);
    if (std::holds_alternative<ChannelGate>(op)) meet("means of a gate", means.contains(node.in[0].id));
    if (std::holds_alternative<Add>(op)) meet("sum of three", node.in.size() == 3);
    if (const auto* block = std::get_if<InvertedResidual>(&op))
      meet("whole block", block->expand && block->project), meet("block with residual", block->residual), meet("block of stride 2", block->stride == Size2(2)),
          meet("expand alone", !block->project), meet("project alone", !block->expand);
    const auto* conv = std::get_if<Conv2d>(&op);
    if (!conv) return;
    meet("mean", conv->mean);
    meet("early gate", conv->excitation.maps > 0);
    if (conv->mean) means.insert(node.out[1].id);
    meet("late residual", conv->residual_last), meet("two residuals", conv->addend == Resize{.mode = ResizeMode::nearest, .scale = 1});
    meet("result", !(conv->result == Affine{}) && !conv->reciprocal), meet("reciprocal", conv->reciprocal), meet("crop", conv->crop.h > 0 && conv->crop.w > 0), meet("cropped addend", conv->crop.h > 0 && conv->addend.mode != ResizeMode::none);
    meet("turned", node.name.starts_with("tconv"));
    meet("gate", conv->gate), meet("activated gate", conv->gate && conv->input_activation.kind != ActivationKind::none), meet("norm", conv->affine), meet("residual", conv->residual), meet("output gate", conv->output_gate);
    meet("addend", conv->addend.mode != ResizeMode::none), meet("shuffle", conv->shuffle > 1);
    for (const Source& s : conv->sources) meet("photograph", !s.mean.empty()), meet("stride", s.stride != Size2(1)), meet("centre", s.centre);
  }
  std::set<int> means;  // values, of the graph looked at
  std::string missing() const {
    std::string list;
    for (const auto& [name, met] : what) list += met ? "" : name + " ";
    return list;
  }
};

std::vector<std::vector<float>> run(const Graph& graph, bool fused, std::size_t* launches) {
  const std::unique_ptr<Backend> backend = make_reference_backend();
  auto program = std::make_shared<const Program>(compile(graph, *backend, {{"last", "some"}, fused}));
  *launches = program->steps.size();
  Binding binding(program, backend->allocate(program->memory.arena_bytes + 64));
  const Desc in = graph[graph.inputs[0]].desc;
  std::vector<std::uint8_t> picture = synthetic_image(static_cast<int>(in.n() * in.h()), static_cast<int>(in.w()));
  std::vector<std::vector<float>> outputs;
  std::vector<float*> pointers;
  for (const Desc& d : program->outputs) outputs.emplace_back(static_cast<std::size_t>(d.elements()), std::nanf(""));
  for (auto& o : outputs) pointers.push_back(o.data());
  const void* inputs[] = {picture.data()};
  binding.run(inputs, pointers, nullptr);
  return outputs;
}

}  // namespace

TEST_CASE("fused graphs compute what unfused ones do", "[engine]") {
  std::size_t plain_launches = 0, fused_launches = 0;
  Seen seen;
  for (unsigned seed = 0; seed < 100; ++seed) {
    const Graph graph = RandomNetwork(seed).build();
    std::size_t a = 0, b = 0;
    for (const Node& node : fuse(graph, {}).nodes) seen.note(node);
    CHECK_NOTHROW(validate(fuse(graph, {})));
    const auto plain = run(graph, false, &a), fused = run(graph, true, &b);
    plain_launches += a, fused_launches += b;
    const auto split = run(fuse(graph, {}), false, &a);  // what compile() splits depends on memory
    const Graph in_phases = split_enlarged(fuse(graph, {}), {.flops_per_byte = 1e-3, .launch_bytes = 0, .worth = 0.9});
    for (const Node& node : in_phases.nodes) seen.note(node);
    CHECK_NOTHROW(validate(in_phases));
    const auto phases = run(in_phases, false, &a);
    const Graph with_means = take_means(fuse(graph, {}), 1);  // of maps of any number of channels
    seen.means.clear();
    for (const Node& node : with_means.nodes) seen.note(node);
    CHECK_NOTHROW(validate(with_means));
    CHECK(with_means.nodes.size() <= fuse(graph, {}).nodes.size());
    const auto by_the_way = run(with_means, false, &a);
    const Graph with_gates = make_gates_early(with_means);
    for (const Node& node : with_gates.nodes) seen.note(node);
    CHECK_NOTHROW(validate(with_gates));
    const auto early = run(with_gates, false, &a);
    for (const auto& results : {fused, split, phases, by_the_way, early})
      for (std::size_t o = 0; o < plain.size(); ++o) {
        double largest = 0, error = 0;
        for (std::size_t k = 0; k < plain[o].size(); ++k) {
          largest = std::max(largest, std::fabs(static_cast<double>(plain[o][k])));
          const double e = std::fabs(static_cast<double>(plain[o][k]) - static_cast<double>(results[o][k]));
          error = std::isnan(e) || e > error ? e : error;
          if (std::isnan(error)) break;
        }
        INFO("seed " << seed << ", output " << o << "\n" << to_text(fuse(graph, {})));
        REQUIRE(error <= 2e-5 * std::max(largest, 1e-3));
      }
  }
  CHECK(fused_launches < plain_launches * 7 / 10);
  CHECK(seen.missing() == "");
}

TEST_CASE("sums are begun early where that saves memory, and only there", "[engine]") {
  const auto begun_early = [](int before, int after) {  // channels of the largest maps
    Graph g;
    const auto conv = [&](Value x, int out, int kernel, const std::string& name) {
      const Desc w = Desc::dense({out, g[x].desc.c(), kernel, kernel});
      return g.add(Conv2d{.padding = kernel / 2},
                   {x, g.add_constant(name + ".weight", Constant::of(w, synthetic_parameter(name, w)))}, name);
    };
    const auto relu = [&](Value x, const std::string& name) {
      return g.add(Activation{ActivationKind::relu}, {x}, name);
    };
    const Value x = g.add_input("x", Desc::nhwc(1, 4, 8, 8));
    const Value first = relu(conv(x, 1, 1, "first"), "residual");
    const Value old = relu(conv(relu(conv(x, before, 1, "before"), "early peak"), 16, 1, "old"), "map");
    Value fresh = relu(conv(old, 8, 1, "narrow"), "narrow map");  // the old map is read once more, behind all this
    fresh = relu(conv(relu(conv(fresh, after, 1, "after"), "late peak"), 4, 1, "fresh"), "last map");
    const Value sum = conv(g.add(Concat{}, {old, fresh}, "cat"), 1, 3, "sum");
    g.outputs.push_back({"y", g.add(Add{}, {first, sum}, "added")});
    const std::unique_ptr<Backend> backend = make_reference_backend();
    const Program program = compile(g, *backend, {});
    return std::any_of(program.graph.nodes.begin(), program.graph.nodes.end(),
                       [](const Node& n) { return n.name == "sum.early"; });
  };
  CHECK(begun_early(8, 256));
  CHECK_FALSE(begun_early(256, 8));
}

TEST_CASE("a decoder step fuses to one convolution", "[engine]") {
  Graph g;
  const auto constant = [&](const std::string& key, const Desc& d) {
    return g.add_constant(key, Constant::of(d, synthetic_parameter(key, d)));
  };
  const Value low = g.add_input("low", Desc::nhwc(1, 8, 6, 10)), skip = g.add_input("skip", Desc::nhwc(1, 4, 12, 20));
  Value x = g.add(Resize{.mode = ResizeMode::nearest, .scale = 2}, {low}, "up");
  x = g.add(Concat{}, {x, skip}, "cat");
  x = g.add(Pad{.padding = 1, .mode = PadMode::reflect}, {x}, "pad");
  Conv2d conv;
  conv.bias = true;
  x = g.add(conv, {x, constant("w.weight", Desc::dense({5, 12, 3, 3})), constant("w.bias", Desc::dense({5}))}, "conv");
  x = g.add(Activation{ActivationKind::elu}, {x}, "elu");
  g.outputs.push_back({"y", x});

  const Graph fused = fuse(g, {});
  REQUIRE(fused.nodes.size() == 1);
  const auto& op = std::get<Conv2d>(fused.nodes[0].op);
  REQUIRE(op.sources.size() == 2);
  CHECK(op.sources[0].resize.mode == ResizeMode::nearest);
  CHECK(op.sources[1].pad_mode == PadMode::reflect);
  CHECK(op.padding == Padding(1));
  CHECK(op.activation.kind == ActivationKind::elu);
  CHECK_NOTHROW(validate(fused));
}

TEST_CASE("input normalisation is never folded past zero padding, nor a norm past a shared map", "[engine]") {
  Graph g;
  const auto constant = [&](const std::string& key, const Desc& d) {
    return g.add_constant(key, Constant::of(d, synthetic_parameter(key, d)));
  };
  const Value image = g.add_input("image", Desc::nhwc(1, 3, 8, 8, DType::u8));
  const Value x = g.add(Preprocess{{0.5f}, {0.25f}}, {image}, "input");
  const Value y = g.add(Conv2d{.padding = 1}, {x, constant("c.weight", Desc::dense({4, 3, 3, 3}))}, "conv");
  std::vector<Value> in = {y};
  for (const char* part : {"weight", "bias", "running_mean", "running_var"})
    in.push_back(constant(std::string("bn.") + part, Desc::dense({4})));
  const Value z = g.add(BatchNorm{}, in, "bn");
  g.outputs.push_back({"raw", y}), g.outputs.push_back({"normed", z});
  CHECK(fuse(g, {.preprocess = false}).nodes.size() == 3);  // the convolution's own map is an output too
  g.outputs.erase(g.outputs.begin());
  CHECK(fuse(g, {.preprocess = false}).nodes.size() == 2);
}

TEST_CASE("constants that passes make of shared weights have names of their own", "[engine]") {
  Graph g;
  const auto constant = [&](const std::string& key, const Desc& d) {
    return g.add_constant(key, Constant::of(d, synthetic_parameter(key, d)));
  };
  const Value x = g.add_input("x", Desc::nhwc(1, 3, 4, 4));
  const Value weight = constant("c.weight", Desc::dense({4, 3, 1, 1})), bias = constant("c.bias", Desc::dense({4}));
  std::vector<Value> norm[2];
  for (const char* part : {"weight", "bias", "running_mean"})
    norm[0].push_back(constant(std::string("bn.") + part, Desc::dense({4})));
  norm[1] = norm[0];
  for (auto& n : norm) n.push_back(constant(&n == norm ? "bn.running_var" : "other.running_var", Desc::dense({4})));
  int count = 0;
  const auto branch = [&](const std::vector<Value>& parameters, bool with_bias, float eps) {
    const std::string name = "y" + std::to_string(count++);
    Conv2d conv;
    conv.bias = with_bias;
    std::vector<Value> in = {
        g.add(conv, with_bias ? std::vector{x, weight, bias} : std::vector{x, weight}, name + ".conv")};
    in.insert(in.end(), parameters.begin(), parameters.end());
    g.outputs.push_back({name, g.add(BatchNorm{eps}, in, name)});
  };
  branch(norm[0], false, 1e-5f), branch(norm[1], false, 1e-5f), branch(norm[0], true, 1e-5f),
      branch(norm[0], false, 1e-3f);

  std::vector<std::vector<std::vector<float>>> results;
  const std::vector<float> picture(3 * 4 * 4, 0.5f);
  for (const bool fused : {false, true}) {
    const std::unique_ptr<Backend> backend = make_cpu_backend(1);  // keeps what it packed by name
    auto program = std::make_shared<const Program>(compile(g, *backend, {{"y0", "y1", "y2", "y3"}, fused}));
    std::vector<std::vector<float>> values(4, std::vector<float>(4 * 4 * 4));
    float* const outputs[] = {values[0].data(), values[1].data(), values[2].data(), values[3].data()};
    const void* inputs[] = {picture.data()};
    Binding(program, backend->allocate(program->memory.arena_bytes + 64)).run(inputs, outputs, nullptr);
    results.push_back(std::move(values));
  }
  for (std::size_t o = 0; o < 4; ++o)
    for (std::size_t k = 0; k < results[0][o].size(); ++k)
      REQUIRE(std::fabs(results[0][o][k] - results[1][o][k]) <= 1e-4f * (1 + std::fabs(results[0][o][k])));
  CHECK(results[0][0] != results[0][1]);
  CHECK(results[0][0] != results[0][2]);
}

TEST_CASE("an enlarged map's convolution is lowered where that is less work", "[engine]") {
  const auto lowered = [](int channels, int factor) {
    Graph g;
    const Value x = g.add_input("x", Desc::nhwc(1, channels, 6, 8));
    const Value up = g.add(Resize{.mode = ResizeMode::bilinear, .scale = factor, .align_corners = true}, {x}, "up");
    const Desc w = Desc::dense({4, channels, 5, 5});
    g.outputs.push_back(
        {"y", g.add(Conv2d{.padding = 2},
                    {up, g.add_constant("w.weight", Constant::of(w, synthetic_parameter("w.weight", w)))}, "conv")});
    const Graph fused = fuse(g, {});
    CHECK(multiply_adds(fused) ==
          multiply_adds(g) / (std::get<Conv2d>(fused.nodes[0].op).low_products ? factor * factor : 1));
    return std::get<Conv2d>(fused.nodes.at(0).op).low_products;
  };
  CHECK(lowered(256, 2));
  CHECK_FALSE(lowered(8, 2));
  CHECK(lowered(64, 8));
  CHECK_FALSE(lowered(256, 1));
}

TEST_CASE("what stands behind a convolution or a pool is done by it", "[engine]") {
  Graph g;
  const auto constant = [&](const std::string& key, const Desc& d) {
    return g.add_constant(key, Constant::of(d, synthetic_parameter(key, d)));
  };
  const auto conv = [&](Value x, const std::string& key, int out, int kernel, int groups = 1) {
    const Desc w = Desc::dense({out, g[x].desc.c() / groups, kernel, kernel});
    return g.add(Conv2d{.padding = kernel / 2, .groups = groups}, {x, constant(key + ".weight", w)}, key);
  };
  const auto fused_to = [&](Value y) {
    g.outputs = {{"y", y}};
    const Graph fused = fuse(g, {});
    CHECK_NOTHROW(validate(fused));
    return fused;
  };
  const Value x = g.add_input("x", Desc::nhwc(1, 8, 12, 16));
  const Value z = conv(x, "z", 8, 3);

  const Graph late = fused_to(g.add(Add{}, {z, g.add(Activation{ActivationKind::relu}, {conv(z, "a", 8, 3)}, "relu")}, "sum"));
  REQUIRE(late.nodes.size() == 2);
  CHECK(std::get<Conv2d>(late.nodes[1].op).residual_last);
  // its twin before the activation must stay what it was
  const Graph early = fused_to(g.add(Activation{ActivationKind::relu}, {g.add(Add{}, {z, conv(z, "b", 8, 3)}, "sum")}, "relu"));
  REQUIRE(early.nodes.size() == 2);
  CHECK_FALSE(std::get<Conv2d>(early.nodes[1].op).residual_last);
  // a kernel that only direct ones take on keeps its sum apart
  const Graph apart = fused_to(g.add(Add{}, {z, g.add(Activation{ActivationKind::relu}, {conv(z, "d", 8, 3, 8)}, "relu")}, "sum"));
  CHECK(apart.nodes.size() == 3);

  Value t = x, sum = x;
  for (int k = 0; k < 4; ++k) {
    t = conv(g.add(Pool{.kernel = 5, .padding = 2}, {t}, "round"), "stage" + std::to_string(k), 8, 1, 8);
    sum = g.add(Add{}, {t, sum}, "chain");
  }
  CHECK(fused_to(sum).nodes.size() == 1);
  const Graph chain = fused_to(g.add(Activation{ActivationKind::relu6}, {conv(sum, "factor", 8, 1, 8)}, "relu6"));
  REQUIRE(chain.nodes.size() == 1);
  CHECK(std::get<PoolChain>(chain.nodes[0].op) == PoolChain{5, 4, {ActivationKind::relu6}});
  g.outputs = {{"sum", sum}, {"last", t}};  // a stage that somebody else needs
  CHECK(fuse(g, {}).nodes.size() > 8);

  const Value head = g.add(Activation{ActivationKind::sigmoid}, {conv(x, "head", 1, 3)}, "sigmoid");
  const Graph depth = fused_to(g.add(DisparityToDepth{}, {head}, "depth"));
  REQUIRE(depth.nodes.size() == 1);
  CHECK(std::get<Conv2d>(depth.nodes[0].op).reciprocal);
  g.outputs = {{"depth", g.add(DisparityToDepth{}, {head}, "depth")}, {"disparity", head}};
  CHECK(fuse(g, {}).nodes.size() == 2);  // the disparity is an output too
}

TEST_CASE("gates and means are told by the convolutions that make the maps", "[engine]") {
  Graph g;
  const auto weight = [&](const std::string& name, const Desc& d) {
    return g.add_constant(name, Constant::of(d, synthetic_parameter(name, d)));
  };
  const Value x = g.add_input("x", Desc::nhwc(1, 8, 6, 5));
  Conv2d depthwise{.padding = 1, .groups = 16};
  const Value wide = g.add(Conv2d{}, {x, weight("a", Desc::dense({16, 8, 1, 1}))}, "wide");
  const Value map = g.add(depthwise, {wide, weight("b", Desc::dense({16, 1, 3, 3}))}, "depthwise");
  const Value narrow = g.add(Conv2d{}, {map, weight("c", Desc::dense({3, 16, 1, 1}))}, "narrow");
  const ChannelGate op{.activation = {ActivationKind::sigmoid}};
  const Value gate =
      g.add(op, {map, narrow, weight("d", Desc::dense({4, 19})), weight("e", Desc::dense({16, 4}))}, "gate");
  const Value mean = g.add(GlobalMean{}, {map}, "mean");
  const Value gated = g.add(Multiply{}, {map, gate}, "gated");
  const Value sum = g.add(Multiply{}, {gated, mean}, "sum");
  g.outputs = {{"sum", sum}, {"mean", mean}};

  const Graph taken = take_means(g);
  validate(taken);
  const auto node = [&](const std::string& name) -> const Node& {
    return *std::find_if(taken.nodes.begin(), taken.nodes.end(), [&](const Node& n) { return n.name == name; });
  };
  REQUIRE(node("depthwise").out.size() == 2);
  const Value by_the_way = node("depthwise").out[1];
  CHECK(taken[by_the_way].desc.same_extents(Desc::nhwc(1, 16, 1, 1)));
  CHECK(node("gate").in[0] == by_the_way);
  CHECK(node("gate").in[1] == node("narrow").out[0]);  // three channels: nobody adds them up by the way
  CHECK(node("sum").in[1] == by_the_way);
  CHECK(taken.outputs[1].value == by_the_way);
  CHECK(node("wide").out.size() == 1);
  CHECK(taken.nodes.size() == g.nodes.size() - 1);  // no GlobalMean
  CHECK(take_means(taken).nodes.size() == taken.nodes.size());
}
