#include "kernels/cpu/dnnl.hpp"

#ifdef FATHOM_HAS_ONEDNN

#include <dnnl.hpp>

#include "fathom/error.hpp"

namespace fathom::cpu {

namespace {

using dnnl::algorithm;
using dnnl::memory;
using dnnl::prop_kind;
using Primitive = dnnl::convolution_forward;

void append_eltwise(dnnl::post_ops& ops, algorithm kind, float alpha, float beta) {
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(kind, alpha, beta);
#else
  ops.append_eltwise(1.f, kind, alpha, beta);
#endif
}

void append_activation(dnnl::post_ops& ops, const Activation& a) {
  switch (a.kind) {
    case ActivationKind::none: return;
    case ActivationKind::relu: return append_eltwise(ops, algorithm::eltwise_relu, 0, 0);
    case ActivationKind::relu6: return append_eltwise(ops, algorithm::eltwise_clip, 0, 6);
    case ActivationKind::leaky_relu: return append_eltwise(ops, algorithm::eltwise_relu, a.alpha, 0);
    case ActivationKind::elu: return append_eltwise(ops, algorithm::eltwise_elu, a.alpha, 0);
    case ActivationKind::sigmoid: return append_eltwise(ops, algorithm::eltwise_logistic, 0, 0);
    case ActivationKind::hard_sigmoid:
      append_eltwise(ops, algorithm::eltwise_linear, 1.f / 6, 0.5f);
      return append_eltwise(ops, algorithm::eltwise_clip, 0, 1);
    case ActivationKind::hard_swish:  // version 3 takes the line inside as alpha and beta, version 2 ignores them
      return append_eltwise(ops, algorithm::eltwise_hardswish, 1.f / 6, 0.5f);
  }
}

Primitive::primitive_desc describe_primitive(const DnnlShape& s, const dnnl::engine& engine,
                                             const dnnl::primitive_attr& attr) {
  using Dims = memory::dims;
  const auto f32 = memory::data_type::f32;
  const auto map = [&](std::int64_t c, std::int64_t h, std::int64_t w) {
    return memory::desc(Dims{s.n, c, h, w}, f32, memory::format_tag::nhwc);
  };
  const Dims weight_dims =
      s.groups == 1 ? Dims{s.o, s.c, s.kh, s.kw} : Dims{s.groups, s.o / s.groups, s.c / s.groups, s.kh, s.kw};
  const memory::desc x = map(s.c, s.h, s.w), y = map(s.o, s.oh, s.ow), w(weight_dims, f32, memory::format_tag::any);
  const memory::desc b = s.bias ? memory::desc(Dims{s.o}, f32, memory::format_tag::x) : memory::desc();
  const Dims stride{s.stride.h, s.stride.w}, dilation{s.dilation.h - 1, s.dilation.w - 1};
  // The padding at the end as far as windows reach: what the stride leaves over is not read.
  const auto after = [](std::int64_t out, int stride, int kernel, int dilation, std::int64_t in, int before) {
    return (out - 1) * stride + dilation * (kernel - 1) + 1 - in - before;
  };
  const Dims before{s.padding.top, s.padding.left};
  const Dims behind{after(s.oh, s.stride.h, s.kh, s.dilation.h, s.h, s.padding.top),
                    after(s.ow, s.stride.w, s.kw, s.dilation.w, s.w, s.padding.left)};
#if DNNL_VERSION_MAJOR >= 3
  return Primitive::primitive_desc(engine, prop_kind::forward_inference, algorithm::convolution_direct, x, w, b, y,
                                   stride, dilation, before, behind, attr, true);
#else
  return Primitive::primitive_desc(Primitive::desc(prop_kind::forward_inference, algorithm::convolution_direct, x, w, b,
                                                   y, stride, dilation, before, behind),
                                   attr, engine, true);
#endif
}

// "384x96x3x3 4608,48,... 16@1,16@0": a weight layout in words, so that equal ones are shared.
std::string layout_text(const memory::desc& d) {
  std::string text;
  const auto list = [&](const auto* values, int count) {
    for (int k = 0; k < count; ++k) text += std::to_string(values[k]) + (k + 1 < count ? "," : " ");
  };
#if DNNL_VERSION_MAJOR >= 3
  const auto dims = d.get_padded_dims(), strides = d.get_strides(), sizes = d.get_inner_blks(),
             indices = d.get_inner_idxs();
  list(dims.data(), int(dims.size())), list(strides.data(), int(strides.size()));
  list(sizes.data(), int(sizes.size())), list(indices.data(), int(indices.size()));
#else
  const auto& blocks = d.data.format_desc.blocking;
  list(d.data.padded_dims, d.data.ndims), list(blocks.strides, d.data.ndims);
  list(blocks.inner_blks, blocks.inner_nblks), list(blocks.inner_idxs, blocks.inner_nblks);
#endif
  return text;
}

class Conv final : public DnnlConv {
 public:
  Conv(const dnnl::engine& engine, const Primitive::primitive_desc& desc, const DnnlShape& shape)
      : engine_(engine),
        desc_(desc),
        primitive_(desc),
        shape_(shape),
        x_(desc.src_desc()),
        w_(desc.weights_desc()),
        y_(desc.dst_desc()),
        scratchpad_(desc.scratchpad_desc()) {
    if (shape.bias) b_ = desc.bias_desc();
  }

  std::string implementation() const override { return desc_.impl_info_str(); }
  std::int64_t scratchpad_bytes() const override { return static_cast<std::int64_t>(scratchpad_.get_size()); }

  Packed pack(CpuBackend& backend, const Operand& weight) const override {
    const auto bytes = static_cast<std::int64_t>(w_.get_size());
    return packed(backend, weight, "oneDNN " + layout_text(w_), (bytes + 3) / 4, [&](const float* values, float* out) {
      const auto tag = shape_.groups == 1 ? memory::format_tag::oihw : memory::format_tag::goihw;
      memory from(memory::desc(w_.dims(), memory::data_type::f32, tag), engine_, const_cast<float*>(values));
      memory to(w_, engine_, out);
      dnnl::stream stream(engine_);
      dnnl::reorder(from, to).execute(stream, from, to);
      stream.wait();
    });
  }

  void run(const float* x, const float* weight, const float* bias, float* y, std::byte* scratchpad) const override {
    // Handles round the caller's pointers: a few hundred bytes of bookkeeping, nothing of the maps' size.
    const auto wrap = [&](const memory::desc& d, const void* p) { return memory(d, engine_, const_cast<void*>(p)); };
    const memory mx = wrap(x_, x), mw = wrap(w_, weight), my = wrap(y_, y), ms = wrap(scratchpad_, scratchpad);
    const memory mb = shape_.bias ? wrap(b_, bias) : memory();
    dnnl_exec_arg_t args[5] = {{DNNL_ARG_SRC, mx.get()},
                               {DNNL_ARG_WEIGHTS, mw.get()},
                               {DNNL_ARG_DST, my.get()},
                               {DNNL_ARG_SCRATCHPAD, ms.get()},
                               {DNNL_ARG_BIAS, nullptr}};
    if (shape_.bias) args[4].memory = mb.get();
    dnnl::stream stream(engine_);
    if (dnnl_primitive_execute(primitive_.get(), stream.get(), shape_.bias ? 5 : 4, args) != dnnl_success)
      throw Error(ErrorKind::device, "oneDNN could not run a convolution (" + implementation() + ")");
    stream.wait();
  }

 private:
  dnnl::engine engine_;
  Primitive::primitive_desc desc_;
  Primitive primitive_;
  DnnlShape shape_;
  memory::desc x_, w_, b_, y_, scratchpad_;
};

}  // namespace

std::shared_ptr<const DnnlConv> DnnlConv::make(const DnnlShape& shape, int threads, std::string& why) {
  try {
    const ThreadScope scope(threads);
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    dnnl::post_ops ops;
    if (shape.sum) ops.append_sum(1.f);
    append_activation(ops, shape.activation);
    dnnl::primitive_attr attr;
    attr.set_post_ops(ops);
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const Primitive::primitive_desc desc = describe_primitive(shape, engine, attr);
    if (!desc) {
      why = "oneDNN does not offer it";
      return nullptr;
    }
    const std::string name = desc.impl_info_str();
    if (name.rfind("ref", 0) == 0) {
      why = "oneDNN offers only its reference code";
      return nullptr;
    }
    return std::make_shared<Conv>(engine, desc, shape);
  } catch (const dnnl::error& e) {
    why = std::string("oneDNN: ") + e.what();
    return nullptr;
  }
}

}  // namespace fathom::cpu

#else

namespace fathom::cpu {

std::shared_ptr<const DnnlConv> DnnlConv::make(const DnnlShape&, int, std::string& why) {
  why = "built without oneDNN";
  return nullptr;
}

}  // namespace fathom::cpu

#endif
