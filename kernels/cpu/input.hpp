// What every kernel of this folder does with its operands: read constants, share packed copies, walk maps in runs.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/backend_cpu.hpp"
#include "engine/step.hpp"
#include "kernels/cpu/parallel.hpp"

namespace fathom::cpu {

// Floats of a kernel, aligned to 64 bytes, shared by all programs of an engine.
using Packed = std::shared_ptr<const float>;

// The numbers of a parameter; throws Error{unsupported} when it is not a constant.
std::shared_ptr<const float[]> constant_values(const Operand& o);

// `count` floats that fill writes, made once per constant and layout. Layout says everything that fill depends on.
Packed packed(CpuBackend& backend, const Operand& o, const std::string& layout, std::int64_t count,
              const std::function<void(const float* values, float* out)>& fill);

// An input map: at RunArgs::data while running, or, where it is a constant, kept here channels-last.
class Input {
 public:
  Input(const Operand& o, CpuBackend& backend);
  View<const float, 4> view(const RunArgs& args) const {
    return fathom::view<const float, 4>(desc_, fixed_ ? fixed_.get() : args.data[id_]);
  }
  const Desc& desc() const { return desc_; }

 private:
  int id_;
  Desc desc_;
  Packed fixed_;
};

// Throws Error{unsupported} unless the channels of a map lie side by side.
void expect_channels_last(const Desc& d, const std::string& name);

// Whether the pixels of a row lie side by side.
template <class T>
bool rows_dense(const View<T, 4>& v) {
  return v.extent[3] == 1 || v.stride[3] == v.extent[1];
}
template <class T>
bool all_dense(const View<T, 4>& v) {
  const std::int64_t row = v.extent[1] * v.extent[3];
  return rows_dense(v) && (v.extent[2] == 1 || v.stride[2] == row) &&
         (v.extent[0] == 1 || v.stride[0] == row * v.extent[2]);
}

// Walks maps of one shape together: f(y, x, count) for runs of neighbouring floats that cover them once.
template <std::size_t K, class F>
void for_runs(int threads, const View<float, 4>& y, const std::array<View<const float, 4>, K>& x, F&& f) {
  bool flat = all_dense(y), rows = rows_dense(y);
  for (const auto& v : x) flat = flat && all_dense(v), rows = rows && rows_dense(v);
  const std::int64_t c = y.extent[1], h = y.extent[2], w = y.extent[3];
  std::array<const float*, K> at{};
  if (flat) {
    parallel_blocks(threads, y.extent[0] * c * h * w, 16384, [&, at](std::int64_t begin, std::int64_t end) mutable {
      for (std::size_t k = 0; k < K; ++k) at[k] = x[k].data + begin;
      f(y.data + begin, at, end - begin);
    });
    return;
  }
  parallel_for(threads, y.extent[0] * h, [&, at](std::int64_t row, int) mutable {
    const std::int64_t n = row / h, i = row % h;
    for (std::int64_t j = 0; j < (rows ? 1 : w); ++j) {
      for (std::size_t k = 0; k < K; ++k) at[k] = &x[k](n, 0, i, j);
      f(&y(n, 0, i, j), at, rows ? w * c : c);
    }
  });
}

}  // namespace fathom::cpu
