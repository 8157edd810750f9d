// y = activation(excite squeeze_activation(squeeze mean + b1) + b2), mean = concat(mean over h, w of x_k)
#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"

namespace fathom {

namespace {

using namespace reference;

// f(weight x + bias), all in double
std::vector<double> dense(const View<const float, 4>& weight, const View<const float, 4>* bias,
                          const std::vector<double>& x, const Activation& f) {
  std::vector<double> y;
  for (std::int64_t o = 0; o < weight.extent[0]; ++o) {
    double sum = bias ? (*bias)(o, 0, 0, 0) : 0;
    for (std::int64_t c = 0; c < weight.extent[1]; ++c)
      sum += static_cast<double>(weight(o, c, 0, 0)) * x[static_cast<std::size_t>(c)];
    y.push_back(apply(f, sum));
  }
  return y;
}

}  // namespace

Step prepare(const ChannelGate& op, const NodeIo& io, ReferenceBackend&) {
  Step step = begin(op, io);
  const std::size_t count = op.maps(io.in.size());
  std::vector<Input> maps, parameters;
  for (std::size_t k = 0; k < io.in.size(); ++k) (k < count ? maps : parameters).emplace_back(io.in[k]);
  step.run = [=, out = io.out](const RunArgs& args) {
    const View<float, 4> y = args.view<float>(out);
    std::vector<View<const float, 4>> p;
    for (const Input& parameter : parameters) p.push_back(parameter(args));
    for (std::int64_t n = 0; n < y.extent[0]; ++n) {
      std::vector<double> mean;
      for (const Input& map : maps) {
        const View<const float, 4> x = map(args);
        for (std::int64_t c = 0; c < x.extent[1]; ++c) {
          double sum = 0;
          for (std::int64_t i = 0; i < x.extent[2]; ++i)
            for (std::int64_t j = 0; j < x.extent[3]; ++j) sum += x(n, c, i, j);
          mean.push_back(sum / static_cast<double>(x.extent[2] * x.extent[3]));
        }
      }
      const std::vector<double> hidden = dense(p[0], op.bias ? &p[1] : nullptr, mean, op.squeeze_activation);
      const std::vector<double> gate = dense(p[op.bias ? 2 : 1], op.bias ? &p[3] : nullptr, hidden, op.activation);
      for (std::size_t o = 0; o < gate.size(); ++o)
        y(n, static_cast<std::int64_t>(o), 0, 0) = static_cast<float>(gate[o]);
    }
  };
  return step;
}

}  // namespace fathom
