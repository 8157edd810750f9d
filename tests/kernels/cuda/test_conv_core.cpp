// The convolution core beyond the shared tables: maps of several tiles in every direction, and every way of cutting
// them up, whether the cost model would choose it or not.
#include <algorithm>
#include <set>

#include "kernels/cuda/conv_gemm.cuh"
#include "tests/kernels/cuda/check_cuda.hpp"

namespace fathom::test {

namespace {

using gpu::Arithmetic;
using gpu::ConvPlan;

Desc map(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) { return Desc::nhwc(n, c, h, w); }

std::vector<Case> table() {
  const Activation relu{ActivationKind::relu}, elu{ActivationKind::elu};
  const Source reflect{.pad_mode = PadMode::reflect}, replicate{.pad_mode = PadMode::replicate};
  const Source nearest{.resize = {.mode = ResizeMode::nearest, .scale = 2}, .pad_mode = PadMode::reflect};
  const Source bilinear{.resize = {.mode = ResizeMode::bilinear, .size = {17, 23}, .align_corners = true}};
  std::vector<Case> t;
  const auto add = [&](const std::string& name, Conv2d op, std::vector<Desc> sources, int out, Size2 kernel) {
    t.push_back(conv_case("core_" + name, std::move(op), std::move(sources), out, kernel));
  };
  add("1x1", {.bias = true, .activation = relu, .mean = true}, {map(2, 72, 9, 17)}, 136, 1);
  add("1x1_gate", {.gate = true}, {map(2, 40, 7, 9)}, 72, 1);
  add("1x1_stride_2", {.stride = 2}, {map(1, 40, 17, 21)}, 24, 1);
  add("3x3", {.padding = 1, .bias = true, .residual = true, .activation = relu, .mean = true}, {map(1, 40, 17, 19)}, 72,
      3);
  add("3x3_stride_2", {.stride = 2, .padding = 1}, {map(1, 24, 21, 35)}, 40, 3);
  add("3x3_reflect", {.padding = 1, .bias = true, .sources = {reflect}, .activation = elu}, {map(1, 16, 18, 33)}, 16,
      3);
  add("3x3_dilation_6", {.padding = 6, .dilation = 6}, {map(1, 40, 13, 11)}, 32, 3);
  add("decoder", {.padding = 1, .bias = true, .sources = {nearest, reflect, replicate}, .activation = elu},
      {map(1, 24, 9, 10), map(1, 8, 18, 20), map(1, 3, 18, 20)}, 24, 3);
  add("bilinear_gate", {.padding = 2, .sources = {bilinear, {}}, .gate = true}, {map(1, 9, 6, 8), map(1, 17, 17, 23)},
      8, 5);
  add("map_1x1", {.padding = 1, .bias = true}, {map(2, 24, 1, 1)}, 40, 3);  // stays float32 beside halves
  Desc photo = map(2, 3, 17, 22);
  photo.dtype = DType::u8;
  add("photograph", {.stride = 2, .padding = 3, .bias = true, .sources = {{.mean = {0.45f}, .std = {0.225f}}}}, {photo},
      24, 7);
  t.back().low = 0, t.back().high = 256;
  add("affine_relu", {.affine = true, .input_activation = relu}, {map(2, 40, 9, 10)}, 24, 1);
  add("gate_hard_swish", {.padding = 1, .gate = true, .input_activation = {ActivationKind::hard_swish}},
      {map(2, 17, 11, 9)}, 16, 3);
  add("branch", {.padding = 1, .bias = true, .sources = {{}, {.stride = 2, .centre = true}}, .activation = relu},
      {map(1, 24, 13, 18), map(1, 40, 25, 36)}, 40, 3);
  add("branch_dilated", {.padding = 4, .dilation = 4, .sources = {{}, {.centre = true}}},
      {map(1, 16, 9, 13), map(1, 24, 9, 13)}, 24, 3);
  add("shuffle_4", {.bias = true, .residual = true, .shuffle = 4, .activation = relu}, {map(1, 24, 9, 11)}, 16 * 20, 1);
  add("shuffle_2_addend", {.padding = 1, .addend = {.mode = ResizeMode::bilinear, .scale = 2}, .shuffle = 2},
      {map(1, 16, 9, 11)}, 4 * 12, 3);
  add("output_gate", {.bias = true, .residual = true, .output_gate = true, .activation = relu}, {map(2, 40, 7, 9)}, 72,
      1);
  add("addend_align", {.bias = true, .addend = {.mode = ResizeMode::bilinear, .size = {13, 18}, .align_corners = true}},
      {map(2, 24, 13, 18)}, 36, 1);
  return t;
}

// A backend that takes one plan of those there are.
struct PlannedBackend {
  CudaBackend& cuda;
  ConvPlan plan;
};
Step prepare(const Conv2d& op, const NodeIo& io, PlannedBackend& backend) {
  const gpu::ConvTask task(op, io, backend.cuda);
  Step step = describe(op, io);
  build_gemm(task, step, backend.plan);
  return step;
}
template <class O>
Step prepare(const O&, const NodeIo&, PlannedBackend&) {
  throw std::logic_error("a convolution only");
}

// The plans of a case: by name, so that a test can say what it saw.
struct Planned {
  Case stored;
  Desc out;
  std::vector<ConvPlan> plans;
};
struct Collector {
  CudaBackend& cuda;
  std::vector<ConvPlan>& plans;
};
Step prepare(const Conv2d& op, const NodeIo& io, Collector& collector) {
  const gpu::ConvTask task(op, io, collector.cuda);
  gpu::for_each_plan(gpu::problem_of(task), collector.cuda.gpu(),
                     [&](const ConvPlan& p) { collector.plans.push_back(p); });
  Step step = describe(op, io);
  build_gemm(task, step);
  return step;
}
template <class O>
Step prepare(const O&, const NodeIo&, Collector&) {
  throw std::logic_error("a convolution only");
}

// What a plan does, without its sizes: each must be seen.
std::vector<std::string> traits(const ConvPlan& plan) {
  const gpu::ConvTiling& t = plan.tiling;
  return {"block " + std::to_string(plan.size().m) + "x" + std::to_string(plan.size().n),
          "planes " + std::to_string(t.planes),
          "stages " + std::to_string(t.stages),
          t.splits > 1 ? "split" : "whole",
          std::string("rows of taps ") + (t.rows.groups > 1 ? "one by one" : "together"),
          std::string("columns of taps ") + (t.columns.groups > 1 ? "one by one" : "together")};
}

// Some of the plans: every trait, and otherwise spread over the list.
std::vector<ConvPlan> some_of(const std::vector<ConvPlan>& plans, std::set<std::string>& seen, std::size_t stride) {
  std::vector<ConvPlan> some;
  for (std::size_t k = 0; k < plans.size(); ++k) {
    bool fresh = k % stride == stride / 2;
    for (const std::string& trait : traits(plans[k])) fresh |= seen.insert(trait).second;
    if (fresh) some.push_back(plans[k]);
  }
  return some;
}

// The same of enlarged maps in phases.
struct PhasesBackend {
  CudaBackend& cuda;
  ConvPlan* plan;  // null: collect them
  std::vector<ConvPlan>& plans;
};
Step prepare(const Conv2d& op, const NodeIo& io, PhasesBackend& backend) {
  const gpu::ConvTask task(op, io, backend.cuda);
  Step step = describe(op, io);
  if (!backend.plan)
    gpu::for_each_plan(gpu::phases_problem(task), backend.cuda.gpu(),
                       [&](const ConvPlan& p) { backend.plans.push_back(p); });
  build_phases(task, step, backend.plan ? *backend.plan : backend.plans.at(0));
  return step;
}
template <class O>
Step prepare(const O&, const NodeIo&, PhasesBackend&) {
  throw std::logic_error("a convolution only");
}

std::vector<Case> phases_table() {
  const auto source = [](PadMode pad, Size2 size = 0) {
    const Resize twice{.mode = ResizeMode::nearest, .scale = size == Size2(0) ? Size2(2) : Size2(0), .size = size};
    return Source{.resize = twice, .pad_mode = pad};
  };
  const Activation relu{ActivationKind::relu}, elu{ActivationKind::elu};
  return {
      conv_case("phases_zeros", {.padding = 1, .bias = true, .sources = {source(PadMode::zeros)}, .activation = relu},
                {map(2, 40, 7, 9)}, 24, 3),
      conv_case("phases_reflect",
                {.padding = 1, .bias = true, .sources = {source(PadMode::reflect)}, .activation = elu},
                {map(1, 16, 9, 17)}, 16, 3),
      conv_case("phases_replicate_residual",
                {.padding = 1, .sources = {source(PadMode::replicate, {10, 22})}, .residual = true, .activation = relu},
                {map(1, 17, 5, 11)}, 72, 3),
      conv_case("phases_gate_addend",
                {.padding = 1,
                 .bias = true,
                 .sources = {source(PadMode::zeros)},
                 .gate = true,
                 .addend = {.mode = ResizeMode::bilinear, .scale = 2}},
                {map(2, 24, 4, 3)}, 20, 3),
      conv_case("phases_map_1x1", {.padding = 1, .bias = true, .sources = {source(PadMode::reflect)}},
                {map(1, 9, 1, 1)}, 8, 3),
  };
}

// Each case by some of its plans (one in `share`, and what was not seen before) beside the reference. Both callbacks
// give a backend to their last argument: `list` one that collects the plans, `run` one that takes the plan given.
// Returns what was seen.
template <class List, class Run>
std::set<std::string> check_plans(const std::vector<Case>& cases, Precision precision, std::size_t share, List&& list,
                                  Run&& run) {
  std::set<std::string> seen;
  const bool halves = precision == Precision::fp16;
  for (const Case& c : cases) {
    if (const char* only = std::getenv("FATHOM_CASE"); only && !c.name.starts_with(only)) continue;
    ReferenceBackend reference;
    CudaBackend cuda(GpuInfo::current(), precision);
    const auto values = halves ? rounded(values_of(c)) : values_of(c);
    const RunResult wanted = run_op(c, values, reference);
    Desc out = infer(c.op, c.in);
    const Case stored = halves ? in_halves(c, out) : c;
    std::vector<ConvPlan> plans;
    list(cuda, plans, [&](auto& backend) { run_op(stored, values, backend, {}, DeviceMemory(), &out); });
    for (const ConvPlan& plan : some_of(plans, seen, plans.size() / share + 1))
      run(cuda, plan, [&](auto& backend) {
        const RunResult got = run_op(stored, values, backend, {}, DeviceMemory(), &out);
        for (const auto& [a, b] : {std::pair(got.values, wanted.values), std::pair(got.means, wanted.means)}) {
          const Difference d = compare(a, b);
          INFO(c.name << ", " << got.step.kernel << ": " << to_text(d));
          CHECK(d.within(precision == Precision::fp32 ? 1e-5 : 2e-3));
        }
      });
  }
  return seen;
}

}  // namespace

TEST_CASE("cuda: an enlarged map's convolution in phases is right however it is cut up", "[cuda]") {
  for (const Precision precision : {Precision::fp16, Precision::fp32, Precision::tf32}) {
    std::vector<ConvPlan> unused;
    check_plans(
        phases_table(), precision, 4,
        [](CudaBackend& cuda, std::vector<ConvPlan>& plans, auto&& go) {
          PhasesBackend backend{cuda, nullptr, plans};
          go(backend);
        },
        [&](CudaBackend& cuda, ConvPlan plan, auto&& go) {
          PhasesBackend backend{cuda, &plan, unused};
          go(backend);
        });
  }
}

TEST_CASE("cuda: the convolution core is right however it cuts up a convolution", "[cuda]") {
  for (const Precision precision : {Precision::fp16, Precision::fp32, Precision::tf32}) {
    const std::set<std::string> seen = check_plans(
        table(), precision, 6,
        [](CudaBackend& cuda, std::vector<ConvPlan>& plans, auto&& go) {
          Collector collector{cuda, plans};
          go(collector);
        },
        [](CudaBackend& cuda, const ConvPlan& plan, auto&& go) {
          PlannedBackend backend{cuda, plan};
          go(backend);
        });
    if (std::getenv("FATHOM_CASE")) continue;
    const bool largest_fits = GpuInfo::current().shared_bytes > 64 * 1024;
    CHECK(seen.contains("block 128x128") == largest_fits);
    CHECK(seen.size() == (largest_fits ? gpu::kBlockSizes : gpu::kBlockSizes - 1) + 4 + 3 + 2 + 2 + 2);
  }
}

}  // namespace fathom::test
