#include "kernels/cpu/input.hpp"

#include "fathom/error.hpp"

namespace fathom::cpu {

std::shared_ptr<const float[]> constant_values(const Operand& o) {
  if (!o.constant)
    throw Error(ErrorKind::unsupported, "the CPU backend needs parameter " + o.name + " as a constant of the graph");
  return o.constant->values();
}

Packed packed(CpuBackend& backend, const Operand& o, const std::string& layout, std::int64_t count,
              const std::function<void(const float* values, float* out)>& fill) {
  const auto made = backend.packed(o.name + " as " + layout, count * 4, [&]() -> std::shared_ptr<const void> {
    const std::shared_ptr<const float[]> values = constant_values(o);
    auto buffer = std::make_shared<Buffer>(count * 4);
    fill(values.get(), buffer->as<float>());
    return {buffer, buffer->data()};
  });
  return std::static_pointer_cast<const float>(made);
}

void expect_channels_last(const Desc& d, const std::string& name) {
  if (d.rank != 4 || (d.stride[1] != 1 && d.c() != 1))
    throw Error(ErrorKind::unsupported, "the CPU backend needs " + name + " " + shape_text(d) + " channels-last");
}

Input::Input(const Operand& o, CpuBackend& backend) : id_(o.id), desc_(o.desc) {
  if (!o.constant) {
    expect_channels_last(desc_, o.name);
    return;
  }
  const View<const float, 4> stored = fathom::view<const float, 4>(o.desc, nullptr);
  desc_ = Desc::nhwc(stored.extent[0], stored.extent[1], stored.extent[2], stored.extent[3]);
  fixed_ = packed(backend, o, "map", desc_.elements(), [&](const float* values, float* out) {
    for (std::int64_t n = 0; n < desc_.n(); ++n)
      for (std::int64_t h = 0; h < desc_.h(); ++h)
        for (std::int64_t w = 0; w < desc_.w(); ++w)
          for (std::int64_t c = 0; c < desc_.c(); ++c)
            *out++ = values[n * stored.stride[0] + c * stored.stride[1] + h * stored.stride[2] + w * stored.stride[3]];
  });
}

}  // namespace fathom::cpu
