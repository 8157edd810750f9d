// An inverted residual block as the convolutions that it stands for, with its wide maps in the workspace: what the
// block means, for the reference; and how a backend runs what it has no kernel of its own for.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/step.hpp"

namespace fathom {

// `stored(desc)` is how the backend stores a map between. Backend's prepare(Conv2d) must be known where this is used.
template <class Backend, class Stored>
Step as_convolutions(const InvertedResidual& op, const NodeIo& io, Backend& backend, const Stored& stored) {
  const auto role = op.inputs(io.inputs());
  std::vector<Step> steps;
  std::vector<Operand> between;  // the maps between, by id: x is 0, these follow, y is behind them
  const auto add = [&](const char* name, Conv2d conv, std::vector<Operand> data, const Operand& weight,
                       const Operand& bias, bool last) {
    conv.bias = true;
    NodeIo part{.name = io.name + name, .in = std::move(data)};
    part.in.insert(part.in.end(), {weight, bias});
    part.out = io.out;
    if (!last) part.out.desc = stored(conv.infer(part.input_descs()));
    part.out.id = static_cast<int>(between.size()) + 1;
    if (!last) between.push_back(part.out);
    steps.push_back(prepare(conv, part, backend));
    return part.out;
  };
  Operand x = role.x;
  x.id = 0;
  Operand wide = x;
  if (role.expand_weight) {
    Conv2d expand;
    expand.activation = op.expand_activation;
    wide = add(".expand", expand, {x}, *role.expand_weight, *role.expand_bias, false);
  }
  Conv2d depthwise{.stride = op.stride, .padding = op.padding, .groups = static_cast<int>(role.weight.desc.extent[0])};
  depthwise.activation = op.depth_activation;
  const Operand narrow = add(".depthwise", depthwise, {wide}, role.weight, role.bias, !op.project);
  if (op.project) {
    Conv2d project;
    project.residual = op.residual, project.activation = op.activation;
    std::vector<Operand> data{narrow};
    if (op.residual) data.push_back(x);
    add(".project", project, std::move(data), *role.project_weight, *role.project_bias, true);
  }

  Step whole = describe(op, io);
  whole.launches = 0;
  std::vector<std::int64_t> place;  // of the maps between, in the workspace
  for (const Operand& map : between) {
    place.push_back(whole.workspace_bytes);
    whole.workspace_bytes += (map.desc.storage_bytes() + 63) / 64 * 64;
  }
  const std::int64_t maps_bytes = whole.workspace_bytes;
  for (const Step& s : steps) {
    whole.kernel += (whole.kernel.empty() ? "as convolutions: " : " + ") + s.kernel;
    whole.workspace_bytes = std::max(whole.workspace_bytes, maps_bytes + s.workspace_bytes);
    whole.counters = std::max(whole.counters, s.counters);
    whole.launches += s.launches;
  }
  whole.run = [=, steps = std::move(steps), x_id = io.in[0].id, y_id = io.out.id](const RunArgs& args) {
    std::vector<void*> data{args.data[x_id]};
    for (const std::int64_t offset : place) data.push_back(args.workspace + offset);
    data.push_back(args.data[y_id]);
    for (const Step& s : steps) s.run({data.data(), args.workspace + maps_bytes, args.stream, args.counters});
  };
  return whole;
}

}  // namespace fathom
