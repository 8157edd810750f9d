// W_a * x + W_b y = (W_a, W_b) * (x, y), W_b standing in the middle of the kernel
#include "engine/passes/branches.hpp"

#include <algorithm>

#include "engine/passes/constants.hpp"

namespace fathom {

namespace {

bool is_sum_of_products(const Conv2d& op) {
  Conv2d plain;  // with all that a joined convolution can have
  plain.stride = op.stride, plain.padding = op.padding, plain.dilation = op.dilation, plain.bias = op.bias,
  plain.sources = op.sources;
  return op == plain;
}

// The middle of the kernel must lie on the pixels that the output's stride counts.
bool has_middle(const Conv2d& op, const Desc& w) {
  const int h = static_cast<int>(w.extent[2]) / 2 * op.dilation.h,
            v = static_cast<int>(w.extent[3]) / 2 * op.dilation.w;
  return w.extent[2] % 2 == 1 && w.extent[3] % 2 == 1 && op.padding.top == h && op.padding.left == v;
}

Numbers joined_weight(const Numbers& a, const Numbers& b) {
  const Desc &wa = a->desc, &wb = b->desc;
  const std::int64_t outputs = wa.extent[0], ca = wa.extent[1], cb = wb.extent[1], taps = wa.extent[2] * wa.extent[3];
  return lazily(Desc::dense({outputs, ca + cb, wa.extent[2], wa.extent[3]}), [=](float* to) {
    const auto x = a->values(), y = b->values();
    std::fill_n(to, outputs * (ca + cb) * taps, 0.f);
    for (std::int64_t o = 0; o < outputs; ++o) {
      float* row = to + o * (ca + cb) * taps;
      std::copy_n(x.get() + o * ca * taps, ca * taps, row);
      for (std::int64_t c = 0; c < cb; ++c) row[(ca + c) * taps + taps / 2] = y[o * cb + c];
    }
  });
}

}  // namespace

std::optional<std::pair<Conv2d, std::vector<Value>>> join_branches(Graph& graph, const Node& a, const Node& b) {
  const auto &op_a = std::get<Conv2d>(a.op), &op_b = std::get<Conv2d>(b.op);
  const auto in_a = op_a.inputs(std::span<const Value>(a.in)), in_b = op_b.inputs(std::span<const Value>(b.in));
  const ValueInfo wa = graph[in_a.weight], wb = graph[in_b.weight];
  if (!is_sum_of_products(op_a) || !is_sum_of_products(op_b) || !has_middle(op_a, wa.desc)) return {};
  if (wb.desc.extent[2] != 1 || wb.desc.extent[3] != 1 || op_b.padding.any()) return {};
  if (op_b.stride.h % op_a.stride.h || op_b.stride.w % op_a.stride.w) return {};

  Conv2d op = op_a;
  std::vector<Value> in(in_a.sources.begin(), in_a.sources.end());
  const Desc first = op_a.sources[0].infer({&graph[in[0]].desc, 1});
  const bool centre = wa.desc.extent[2] * wa.desc.extent[3] > 1;
  for (std::size_t k = 0; k < op_b.sources.size(); ++k) {
    Source source = op_b.sources[k];
    source.stride = {source.stride.h * op_b.stride.h / op_a.stride.h, source.stride.w * op_b.stride.w / op_a.stride.w};
    source.pad_mode = PadMode::zeros, source.centre = centre;
    const Desc read = source.infer({&graph[in_b.sources[k]].desc, 1});
    if (read.h() != first.h() || read.w() != first.w()) return {};
    op.sources.push_back(source), in.push_back(in_b.sources[k]);
  }

  const std::string name = wa.name + " beside " + wb.name;
  in.push_back(add_once(graph, name, joined_weight(wa.constant, wb.constant)));
  if (in_a.bias && in_b.bias) {
    const ValueInfo x = graph[*in_a.bias], y = graph[*in_b.bias];
    const auto sum = lazily(x.desc, [n = x.desc.elements(), p = x.constant, q = y.constant](float* to) {
      const auto u = p->values(), v = q->values();
      for (std::int64_t o = 0; o < n; ++o) to[o] = u[o] + v[o];
    });
    in.push_back(add_once(graph, x.name + " plus " + y.name, sum));
  } else if (in_a.bias || in_b.bias) {
    in.push_back(in_a.bias ? *in_a.bias : *in_b.bias);
  }
  op.bias = in_a.bias || in_b.bias;
  return std::pair{std::move(op), std::move(in)};
}

}  // namespace fathom
