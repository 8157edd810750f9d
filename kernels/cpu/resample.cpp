// Resize and Pad: every row of the output is one that RowReader reads.
#include "kernels/cpu/input.hpp"
#include "kernels/cpu/kernels.hpp"
#include "kernels/cpu/rows.hpp"

namespace fathom {

using namespace cpu;

namespace {

Step read_rows(const Op& op, const char* kernel, RowReader reader, const NodeIo& io, CpuBackend& backend) {
  expect_channels_last(io.out.desc, io.out.name);
  Step step = describe(op, io);
  step.kernel = kernel;
  step.run = [x = Input(io.in[0], backend), reader = std::move(reader), out = io.out,
              threads = backend.threads()](const RunArgs& args) {
    const View<const float, 4> in = x.view(args);
    const View<float, 4> y = args.view<float>(out);
    const std::int64_t h = y.extent[2];
    parallel_for(threads, y.extent[0] * h, [&](std::int64_t row, int) {
      reader.read(in, row / h, row % h, &y(row / h, 0, row % h, 0), y.stride[3], nullptr);
    });
  };
  return step;
}

}  // namespace

Step prepare(const Resize& op, const NodeIo& io, CpuBackend& backend) {
  return read_rows(op, "vector loop", RowReader(io.in[0].desc, op, PadMode::zeros, Padding{}), io, backend);
}

Step prepare(const Pad& op, const NodeIo& io, CpuBackend& backend) {
  return read_rows(op, "copy", RowReader(io.in[0].desc, Resize{}, op.mode, op.padding), io, backend);
}

}  // namespace fathom
