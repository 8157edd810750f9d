// y = (x / 255 - mean[c]) / std[c], from u8 to f32
#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"

namespace fathom {

Step prepare(const Preprocess& op, const NodeIo& io, ReferenceBackend&) {
  Step step = reference::begin(op, io);
  step.run = [op, in = io.in[0], out = io.out](const RunArgs& args) {
    const View<const std::uint8_t, 4> x = args.view<const std::uint8_t>(in);
    const View<float, 4> y = args.view<float>(out);
    const auto of = [](const std::vector<float>& list, std::int64_t c) {
      return list[list.size() == 1 ? 0 : static_cast<std::size_t>(c)];
    };
    reference::for_each(out.desc, [&](auto n, auto c, auto i, auto j) {
      y(n, c, i, j) = static_cast<float>((x(n, c, i, j) / 255.0 - of(op.mean, c)) / of(op.std, c));
    });
  };
  return step;
}

}  // namespace fathom
