// An op as the simpler ones that it stands for, with the maps between in the workspace: what such an op means, for the
// reference; and how a backend runs what it has no kernel of its own for.
#pragma once

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "engine/step.hpp"

namespace fathom {

// `stored(desc)` is how the backend stores a map between. Backend's prepare of the parts must be known where this is
// used.
template <class Backend, class Stored>
class Parts {
 public:
  Parts(const Op& op, const NodeIo& io, Backend& backend, const Stored& stored)
      : op_(op), io_(io), backend_(backend), stored_(stored) {
    data_ = io.in.size() - parameter_names(op).size();
  }
  // Input k, as a part reads it: constants as they are.
  Operand input(std::size_t k) const {
    Operand x = io_.in[k];
    if (k < data_) x.id = static_cast<int>(k);
    return x;
  }
  // A part that makes a map between, which is returned.
  template <class O>
  Operand add(const char* name, const O& op, std::vector<Operand> in) {
    Operand map;
    map.name = io_.name + name, map.id = static_cast<int>(data_ + between_.size());
    const NodeIo part{.name = map.name, .in = std::move(in)};
    map.desc = stored_(op.infer(part.input_descs()));
    between_.push_back(map);
    make(op, part, map);
    return map;
  }
  // The last part, and the step of all.
  template <class O>
  Step finish(const char* name, const O& op, std::vector<Operand> in) {
    Operand y = io_.out;
    y.id = static_cast<int>(data_ + between_.size());
    make(op, {.name = io_.name + name, .in = std::move(in)}, y);
    return whole();
  }

 private:
  template <class O>
  void make(const O& op, NodeIo part, const Operand& out) {
    part.out = out;
    steps_.push_back(prepare(op, part, backend_));
  }

  Step whole() {
    Step whole = describe(op_, io_);
    whole.launches = 0;
    std::vector<std::int64_t> place;  // of the maps between, in the workspace
    for (const Operand& map : between_) {
      place.push_back(whole.workspace_bytes);
      whole.workspace_bytes += (map.desc.storage_bytes() + 63) / 64 * 64;
    }
    const std::int64_t maps_bytes = whole.workspace_bytes;
    for (const Step& s : steps_) {
      whole.kernel += (whole.kernel.empty() ? "in parts: " : " + ") + s.kernel;
      whole.workspace_bytes = std::max(whole.workspace_bytes, maps_bytes + s.workspace_bytes);
      whole.counters = std::max(whole.counters, s.counters);
      whole.launches += s.launches;
    }
    std::vector<int> inputs;
    for (std::size_t k = 0; k < data_; ++k) inputs.push_back(io_.in[k].id);
    whole.run = [steps = std::move(steps_), place, maps_bytes, inputs, y = io_.out.id](const RunArgs& args) {
      std::vector<void*> data;
      for (const int id : inputs) data.push_back(args.data[id]);
      for (const std::int64_t offset : place) data.push_back(args.workspace + offset);
      data.push_back(args.data[y]);
      for (const Step& s : steps) s.run({data.data(), args.workspace + maps_bytes, args.stream, args.counters});
    };
    return whole;
  }

  const Op op_;
  const NodeIo& io_;
  Backend& backend_;
  const Stored& stored_;
  std::size_t data_;              // inputs that are maps: these come first, then the maps between, then y
  std::vector<Operand> between_;
  std::vector<Step> steps_;
};

// The step, and behind it the one that makes the second output of the first: for kernels that only make their map.
template <class Backend>
Step with_second_output(Step step, const Op& op, const NodeIo& io, Backend& backend) {
  const std::optional<SecondOutput> second = second_output(op, io.in.size());
  if (!second || step.means) return step;
  NodeIo of_first{.name = io.name, .out = io.mean};
  for (int k : second->in) of_first.in.push_back(k < 0 ? io.out : io.in[static_cast<std::size_t>(k)]);
  const auto make = [&](const auto& by_itself) { return prepare(by_itself, of_first, backend); };
  if (const auto* gate = std::get_if<ChannelGate>(&second->op)) return with_means(std::move(step), make(*gate));
  return with_means(std::move(step), make(GlobalMean{}));
}

// [expand,] depthwise [, project]
template <class Backend, class Stored>
Step in_parts(const InvertedResidual& op, const NodeIo& io, Backend& backend, const Stored& stored) {
  Parts parts(op, io, backend, stored);
  const auto role = op.inputs(io.inputs());
  const Operand x = parts.input(0);
  Operand wide = x;
  if (role.expand_weight) {
    const Conv2d expand{.bias = true, .activation = op.expand_activation};
    wide = parts.add(".expand", expand, {x, *role.expand_weight, *role.expand_bias});
  }
  const Conv2d depthwise{.stride = op.stride,
                         .padding = op.padding,
                         .groups = static_cast<int>(role.weight.desc.extent[0]),
                         .bias = true,
                         .activation = op.depth_activation};
  if (!op.project)
    return with_second_output(parts.finish(".depthwise", depthwise, {wide, role.weight, role.bias}), op, io, backend);
  std::vector<Operand> in{parts.add(".depthwise", depthwise, {wide, role.weight, role.bias})};
  if (op.residual) in.push_back(x);
  in.insert(in.end(), {*role.project_weight, *role.project_bias});
  const Conv2d project{.bias = true, .residual = op.residual, .activation = op.activation};
  return with_second_output(parts.finish(".project", project, std::move(in)), op, io, backend);
}

// convolution, pool
template <class Backend, class Stored>
Step in_parts(const ConvPool& op, const NodeIo& io, Backend& backend, const Stored& stored) {
  Parts parts(op, io, backend, stored);
  std::vector<Operand> in;
  for (std::size_t k = 0; k < io.in.size(); ++k) in.push_back(parts.input(k));
  return parts.finish(".pool", op.pool, {parts.add(".conv", op.conv(), std::move(in))});
}

}  // namespace fathom
