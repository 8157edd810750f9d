// A library module whose one kernel is loops on the host, which is where the emulator's device memory is: for tests of
// all that lies between Conv2d and a library.
#include <algorithm>

#include "engine/module_abi.hpp"
#include "engine/tensor.hpp"
#include "fathom/error.hpp"
#include "kernels/libraries/conv_library.hpp"

extern "C" int cudaStreamSynchronize(void* stream);  // the emulator's, of the program that opens this

namespace {

using namespace fathom;

float load(const void* data, bool half, std::int64_t at) {
  return half ? half_to_float(static_cast<const std::uint16_t*>(data)[at]) : static_cast<const float*>(data)[at];
}

void run(const LibraryConv& p, const LibraryData& data) {
  if (reinterpret_cast<std::uintptr_t>(data.workspace) % 256)
    throw Error(ErrorKind::device, "stand-in: a workspace that is not aligned");
  std::fill_n(static_cast<char*>(data.workspace), 1000, '\x7f');
  const bool half = p.type == LibraryConv::Type::half;
  const std::int64_t group_in = p.x[1] / p.groups, group_out = p.y[1] / p.groups;
  const auto at = [](const LibraryConv::Four& s, std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
    return n * s[0] + c * s[1] + h * s[2] + w * s[3];
  };
  for (std::int64_t n = 0; n < p.y[0]; ++n)
    for (std::int64_t o = 0; o < p.y[1]; ++o)
      for (std::int64_t i = 0; i < p.y[2]; ++i)
        for (std::int64_t j = 0; j < p.y[3]; ++j) {
          double sum = data.bias ? static_cast<const float*>(data.bias)[o] : 0;
          for (std::int64_t a = 0; a < p.kernel_h; ++a)
            for (std::int64_t b = 0; b < p.kernel_w; ++b)
              for (std::int64_t c = 0; c < group_in; ++c) {
                const std::int64_t h = i * p.stride_h - p.top + a * p.dilation_h;
                const std::int64_t w = j * p.stride_w - p.left + b * p.dilation_w;
                if (h < 0 || h >= p.x[2] || w < 0 || w >= p.x[3]) continue;
                sum += double{load(data.x, half, at(p.x_stride, n, o / group_out * group_in + c, h, w))} *
                       load(data.weight, half, ((o * p.kernel_h + a) * p.kernel_w + b) * group_in + c);
              }
          if (data.residual) sum += load(data.residual, half, at(p.residual_stride, n, o, i, j));
          const auto y = static_cast<float>(p.relu ? std::max(sum, 0.0) : sum);
          const std::int64_t to = at(p.y_stride, n, o, i, j);
          if (half)
            static_cast<std::uint16_t*>(data.y)[to] = float_to_half(y);
          else
            static_cast<float*>(data.y)[to] = y;
        }
}

class StandIn final : public ConvLibrary {
 public:
  std::vector<LibraryKernel> kernels(const LibraryConv& problem, int) override {
    LibraryKernel kernel{.name = "stand-in: loops", .workspace_bytes = 1000, .run = {}};
    kernel.run = [problem](const LibraryData& data, void* stream) {
      (void)cudaStreamSynchronize(nullptr);  // copies may still be on their way
      (void)cudaStreamSynchronize(stream);
      run(problem, data);
    };
    return {kernel};
  }
  std::string version() const override { return "stand-in"; }
};

ConvLibrary* open(const char*) { return new StandIn; }

}  // namespace

extern "C" __attribute__((visibility("default"))) const LibraryModule* fathom_library_module() {
  static const std::string built_for = module_abi();
  static const LibraryModule module{built_for.c_str(), &open};
  return &module;
}
