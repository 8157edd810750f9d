// Runs one op on any backend between sentinels: bytes round every buffer, in the gaps of strided tensors and in the
// output before it is written, all with the pattern of a NaN, so that a stray read shows in the result and a stray
// write is found.
#pragma once

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/step.hpp"
#include "tests/kernels/cases.hpp"

namespace fathom::test {

struct RunOptions {
  // Maps lie in a wider tensor, as concat sources do: channel 0 is its channel `lead`, and `tail` channels follow.
  std::int64_t lead = 0, tail = 0;
  int in_place = -1;                // the input whose storage the output takes, -1: none
  std::int64_t slice_channels = 1;  // only maps of a multiple of so many channels lie so
};

struct RunResult {
  Desc desc;
  std::vector<float> values;  // in logical order (N, C, H, W)
  std::vector<float> means;   // the second output of a Conv2d that has one
  Step step;
};

// Where buffers live. A backend of another device brings one of its own with the same members.
struct HostMemory {
  std::vector<Buffer> kept;

  void* put(const std::vector<std::byte>& image) {  // a copy, aligned to 64 bytes
    kept.emplace_back(static_cast<std::int64_t>(image.size()));
    if (!image.empty()) std::memcpy(kept.back().data(), image.data(), image.size());
    return kept.back().data();
  }
  void get(const void* address, std::vector<std::byte>& image) {
    if (!image.empty()) std::memcpy(image.data(), address, image.size());
  }
  void* stream() { return nullptr; }
};

// One tensor between its sentinels, as bytes.
class Guarded {
 public:
  static constexpr std::int64_t guard_bytes = 256;
  static constexpr std::byte pattern{0xFF};

  Guarded(const Desc& desc, const RunOptions& options) : desc(desc) {
    std::int64_t before = 0;
    sliced = desc.rank == 4 && (options.lead || options.tail) && desc.c() % options.slice_channels == 0;
    if (sliced) {
      const std::int64_t wide = options.lead + desc.c() + options.tail;
      this->desc.stride = {wide * desc.h() * desc.w(), 1, wide * desc.w(), wide};
      before = options.lead * size_of(desc.dtype);
    }
    begin = guard_bytes + before;
    image.assign(
        static_cast<std::size_t>(
            begin + (sliced ? this->desc.span_bytes() + options.tail * size_of(desc.dtype) : desc.storage_bytes()) +
            guard_bytes),
        pattern);
  }

  void write(const std::vector<float>& values) {
    for_each_element([&](std::size_t k, std::byte* at) {
      const std::uint16_t half = float_to_half(values[k]);
      switch (desc.dtype) {
        case DType::u8: *at = static_cast<std::byte>(values[k]); break;
        case DType::f16: std::memcpy(at, &half, sizeof half); break;
        default: std::memcpy(at, &values[k], sizeof(float));
      }
    });
    for_each_padding([](std::byte* at, std::size_t bytes) { std::memset(at, 0, bytes); });
  }
  std::vector<float> read() {
    std::vector<float> values(static_cast<std::size_t>(desc.elements()));
    for_each_element([&](std::size_t k, std::byte* at) {
      std::uint16_t half = 0;
      if (desc.dtype == DType::f16)
        std::memcpy(&half, at, sizeof half), values[k] = half_to_float(half);
      else
        std::memcpy(&values[k], at, sizeof(float));
    });
    return values;
  }
  // What pads the pixels of a map must be zeros.
  bool padding_is_zero() {
    bool zero = true;
    for_each_padding([&](std::byte* at, std::size_t bytes) {
      zero = zero && std::all_of(at, at + bytes, [](std::byte b) { return b == std::byte{0}; });
    });
    return zero;
  }
  // Back to sentinels: what is left is what must not change.
  void blank() {
    for_each_element(
        [&](std::size_t, std::byte* at) { std::memset(at, 0xFF, static_cast<std::size_t>(size_of(desc.dtype))); });
    for_each_padding([](std::byte* at, std::size_t bytes) { std::memset(at, 0xFF, bytes); });
  }

  Desc desc;
  bool sliced = false;
  std::int64_t begin = 0;  // of the tensor, in bytes
  std::vector<std::byte> image;

 private:
  // f(address, bytes) of what lies behind the channels of each pixel, where pixels are padded
  template <class F>
  void for_each_padding(F&& f) {
    const std::int64_t size = size_of(desc.dtype), pad = desc.rank == 4 ? desc.stride[3] - desc.c() : 0;
    if (sliced || pad <= 0 || desc.dtype != DType::f16) return;
    for (std::int64_t n = 0; n < desc.n(); ++n)
      for (std::int64_t h = 0; h < desc.h(); ++h)
        for (std::int64_t w = 0; w < desc.w(); ++w)
          f(image.data() + begin + (n * desc.stride[0] + h * desc.stride[2] + w * desc.stride[3] + desc.c()) * size,
            static_cast<std::size_t>(pad * size));
  }

  template <class F>
  void for_each_element(F&& f) {
    std::size_t k = 0;
    for (std::int64_t n = 0; n < desc.n(); ++n)
      for (std::int64_t c = 0; c < desc.c(); ++c)
        for (std::int64_t h = 0; h < desc.h(); ++h)
          for (std::int64_t w = 0; w < desc.w(); ++w) {
            const std::int64_t offset =
                n * desc.stride[0] + c * desc.stride[1] + h * desc.stride[2] + w * desc.stride[3];
            f(k++, image.data() + begin + offset * size_of(desc.dtype));
          }
  }
};

// Throws std::runtime_error if a kernel wrote where it must not. `values`: one vector per input, in logical order.
// `out_desc`: how the output is stored, where that is not what the op's shape rule says.
template <class Backend, class Memory = HostMemory>
RunResult run_op(const Case& c, const std::vector<std::vector<float>>& values, Backend& backend,
                 const RunOptions& options = {}, Memory memory = {}, const Desc* out_desc = nullptr) {
  const std::size_t data = data_inputs(c.op, c.in.size());
  const auto damaged = [&](const std::string& what) {
    throw std::runtime_error(c.name + ": the kernel wrote " + what);
  };

  NodeIo io;
  io.name = c.name;
  io.in_place = options.in_place;
  std::vector<Guarded> tensors;  // the data inputs, the output, then the second output where there is one
  for (std::size_t k = 0; k < c.in.size(); ++k) {
    Operand operand{static_cast<int>(k), c.in[k], "in" + std::to_string(k), nullptr};
    if (k < data) {
      tensors.emplace_back(c.in[k], options);
      tensors.back().write(values[k]);
      operand.desc = tensors.back().desc;
    } else {
      operand.name = c.name + "." + parameter_names(c.op)[k - data];
      operand.constant = Constant::of(c.in[k], values[k]);
    }
    io.in.push_back(std::move(operand));
  }
  const std::vector<Desc> outs = infer_outputs(c.op, c.in);
  tensors.emplace_back(out_desc ? *out_desc : outs[0], options);
  io.out = {static_cast<int>(c.in.size()), tensors.back().desc, c.name, nullptr};
  if (outs.size() > 1) {
    tensors.emplace_back(outs[1], options);
    io.mean = {static_cast<int>(c.in.size()) + 1, tensors.back().desc, c.name + ".mean", nullptr};
  }

  RunResult result;
  result.step = std::visit([&](const auto& op) { return prepare(op, io, backend); }, c.op);
  const std::int64_t workspace_bytes = result.step.workspace_bytes;
  std::vector<std::byte> workspace(static_cast<std::size_t>(workspace_bytes + 2 * Guarded::guard_bytes),
                                   Guarded::pattern);

  std::vector<void*> buffers, addresses(c.in.size() + outs.size(), nullptr);
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    const bool shares = k == data && options.in_place >= 0;
    buffers.push_back(shares ? buffers[static_cast<std::size_t>(options.in_place)] : memory.put(tensors[k].image));
    addresses[k < data ? k : c.in.size() + k - data] = static_cast<std::byte*>(buffers[k]) + tensors[k].begin;
  }
  auto* workspace_buffer = static_cast<std::byte*>(memory.put(workspace));
  std::vector<std::byte> counters(static_cast<std::size_t>(result.step.counters) * sizeof(unsigned));
  void* const counter_buffer = memory.put(counters);
  result.step.run({addresses.data(), workspace_buffer + Guarded::guard_bytes, memory.stream(),
                   static_cast<unsigned*>(counter_buffer)});

  std::vector<std::byte> after;
  for (std::size_t k = 0; k < data; ++k) {
    if (static_cast<int>(k) == options.in_place) continue;
    after.resize(tensors[k].image.size());
    memory.get(buffers[k], after);
    if (after != tensors[k].image) damaged("into or round its input " + std::to_string(k));
  }
  for (std::size_t k = data; k < tensors.size(); ++k) {
    Guarded& out = tensors[k];
    memory.get(buffers[k], out.image);
    (k == data ? result.values : result.means) = out.read();
    if (!out.padding_is_zero()) damaged("something else than zeros into the padding of its output");
    out.blank();
    for (std::byte b : out.image)
      if (b != Guarded::pattern) damaged("outside its output");
  }
  result.desc = tensors[data].desc;
  memory.get(counter_buffer, counters);
  if (std::any_of(counters.begin(), counters.end(), [](std::byte b) { return b != std::byte{0}; }))
    damaged("counters that it did not reset");
  memory.get(workspace_buffer, workspace);
  for (std::int64_t k = 0; k < Guarded::guard_bytes; ++k)
    if (workspace[static_cast<std::size_t>(k)] != Guarded::pattern ||
        workspace[workspace.size() - 1 - static_cast<std::size_t>(k)] != Guarded::pattern)
      damaged("outside its workspace");
  return result;
}

template <class Backend, class Memory = HostMemory>
RunResult run_case(const Case& c, Backend& backend, const RunOptions& options = {}, Memory memory = {}) {
  return run_op(c, values_of(c), backend, options, std::move(memory));
}

// The inputs whose storage the output of an op may take: element-wise ones, and a convolution's residual.
inline std::vector<int> in_place_inputs(const Case& c) {
  const Desc out = infer(c.op, c.in);
  if (const auto* conv = std::get_if<Conv2d>(&c.op))
    return conv->residual && conv->crop == Size2(0) ? std::vector{static_cast<int>(conv->sources.size()) + conv->gate} : std::vector<int>{};
  const bool unary = std::holds_alternative<Activation>(c.op) || std::holds_alternative<BatchNorm>(c.op) ||
                     std::holds_alternative<Affine>(c.op) || std::holds_alternative<DisparityToDepth>(c.op);
  const bool binary = std::holds_alternative<Add>(c.op) || std::holds_alternative<Multiply>(c.op);
  std::vector<int> inputs;
  for (int k = 0; k < (unary ? 1 : binary ? 2 : 0); ++k)
    if (c.in[static_cast<std::size_t>(k)].same_extents(out)) inputs.push_back(k);
  return inputs;
}

}  // namespace fathom::test
