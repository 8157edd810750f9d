// What the choices of Conv2d share: the task by role, and its input read row by row.
#pragma once

#include <string>
#include <vector>

#include "kernels/cpu/input.hpp"
#include "kernels/cpu/rows.hpp"

namespace fathom::cpu {

struct ConvTask {
  const Conv2d& op;
  const NodeIo& io;
  CpuBackend& backend;
  Conv2d::Inputs<Operand> role;
  std::int64_t c, h, w;  // of the input after resize and concatenation, before padding
  bool residual_in_y;    // the output reuses the residual's memory

  ConvTask(const Conv2d& op, const NodeIo& io, CpuBackend& backend);
  std::int64_t kh() const { return role.weight.desc.extent[2]; }
  std::int64_t kw() const { return role.weight.desc.extent[3]; }
  // Input rows under so many output rows.
  std::int64_t rows_under(std::int64_t out_rows) const {
    return (out_rows - 1) * op.stride.h + op.dilation.h * (kh() - 1) + 1;
  }
  // One source as it is, whose padding is zero or none.
  bool plain() const;
};

// The resized, padded, gated concatenation of some of a convolution's sources, one row at a time.
class GatheredInput {
 public:
  GatheredInput(const ConvTask& task, std::size_t first_source, std::size_t sources, bool gated);
  bool gated() const { return !gate_.empty(); }
  std::int64_t width() const { return readers_[0].width(); }
  // Row i of the padded map of image n, dense.
  void read(const RunArgs& args, std::int64_t n, std::int64_t i, float* y) const;

 private:
  std::vector<Input> sources_;
  std::vector<RowReader> readers_;
  std::vector<Input> gate_;  // none or one
  std::int64_t gate_channel_ = 0, c_ = 0;
};

// A choice: fits says why not (empty: it may), build fills in the step.
struct ConvChoice {
  const char* name;
  std::string (*fits)(const ConvTask&);
  void (*build)(const ConvTask&, Step&);
};

std::string fits_dnnl(const ConvTask& task);
void build_dnnl(const ConvTask& task, Step& step);
std::string fits_products(const ConvTask& task);
void build_products(const ConvTask& task, Step& step);
void build_rows(const ConvTask& task, Step& step);

}  // namespace fathom::cpu
