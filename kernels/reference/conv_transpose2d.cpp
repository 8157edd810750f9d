// y(n, o, i stride - padding + a dilation, ...) += x(n, c, i, ...) w(c, o, a, ...), then bias, act
//
// Read from the output's side: position p takes from input i where p + padding - a dilation = i stride.
#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"

namespace fathom {

namespace {

struct Meeting {
  std::int64_t input, kernel;  // input row i and kernel row a that meet at one output row
};

std::vector<std::vector<Meeting>> meetings(std::int64_t in, std::int64_t out, std::int64_t kernel, int stride,
                                           int padding, int dilation) {
  std::vector<std::vector<Meeting>> all(static_cast<std::size_t>(out));
  for (std::int64_t p = 0; p < out; ++p)
    for (std::int64_t a = 0; a < kernel; ++a) {
      const std::int64_t t = p + padding - a * dilation;
      if (t >= 0 && t % stride == 0 && t / stride < in) all[static_cast<std::size_t>(p)].push_back({t / stride, a});
    }
  return all;
}

}  // namespace

Step prepare(const ConvTranspose2d& op, const NodeIo& io, ReferenceBackend&) {
  Step step = reference::begin(op, io);
  const Desc &x_desc = io.in[0].desc, &w_desc = io.in[1].desc, &y_desc = io.out.desc;
  const std::int64_t group_in = x_desc.c() / op.groups, group_out = w_desc.extent[1];
  const auto rows = meetings(x_desc.h(), y_desc.h(), w_desc.extent[2], op.stride.h, op.padding.top, op.dilation.h);
  const auto cols = meetings(x_desc.w(), y_desc.w(), w_desc.extent[3], op.stride.w, op.padding.left, op.dilation.w);
  step.workspace_bytes = group_out * static_cast<std::int64_t>(sizeof(double));

  step.run = [=, data = reference::Input(io.in[0]), weight = reference::Input(io.in[1]),
              bias = reference::Input(op.bias ? &io.in[2] : nullptr), out = io.out](const RunArgs& args) {
    const View<const float, 4> x = data(args), w = weight(args), b = bias(args);
    const View<float, 4> y = args.view<float>(out);
    auto* sums = reinterpret_cast<double*>(args.workspace);
    for (std::int64_t n = 0; n < y.extent[0]; ++n)
      for (std::int64_t i = 0; i < y.extent[2]; ++i)
        for (std::int64_t j = 0; j < y.extent[3]; ++j)
          for (std::int64_t group = 0; group < op.groups; ++group) {
            for (std::int64_t o = 0; o < group_out; ++o) sums[o] = bias ? b(group * group_out + o, 0, 0, 0) : 0;
            for (const Meeting& row : rows[static_cast<std::size_t>(i)])
              for (const Meeting& col : cols[static_cast<std::size_t>(j)])
                for (std::int64_t c = group * group_in; c < (group + 1) * group_in; ++c) {
                  const double value = x(n, c, row.input, col.input);
                  for (std::int64_t o = 0; o < group_out; ++o) sums[o] += value * w(c, o, row.kernel, col.kernel);
                }
            for (std::int64_t o = 0; o < group_out; ++o)
              y(n, group * group_out + o, i, j) = static_cast<float>(reference::apply(op.activation, sums[o]));
          }
  };
  return step;
}

}  // namespace fathom
