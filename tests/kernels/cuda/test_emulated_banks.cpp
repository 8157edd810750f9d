// The banks of shared memory that warps of the convolution core meet, as the emulator counts them.
#include <algorithm>
#include <set>

#include "kernels/cuda/conv_gemm.cuh"
#include "tests/emulator/emu.hpp"
#include "tests/kernels/cuda/check_cuda.hpp"

namespace fathom::test {

namespace {

using gpu::ConvPlan;

// A backend that takes the plan given, and notes down all there are.
struct PlanBackend {
  CudaBackend& cuda;
  const ConvPlan* plan;
  std::vector<ConvPlan>& plans;
};
Step prepare(const Conv2d& op, const NodeIo& io, PlanBackend& backend) {
  const gpu::ConvTask task(op, io, backend.cuda);
  if (!backend.plan)
    gpu::for_each_plan(gpu::problem_of(task), backend.cuda.gpu(),
                       [&](const ConvPlan& p) { backend.plans.push_back(p); });
  Step step = describe(op, io);
  build_gemm(task, step, backend.plan ? *backend.plan : backend.plans.at(0));
  return step;
}
template <class O>
Step prepare(const O&, const NodeIo&, PlanBackend&) {
  throw std::logic_error("a convolution only");
}

}  // namespace

TEST_CASE("cuda: warps of the convolution core meet no bank of shared memory twice", "[cuda]") {
#ifdef __SANITIZE_THREAD__
  SUCCEED("skipped: what is noted down takes memory, and under the race checker no fiber may");
#else
  emu::Config config = emu::config();
  config.count_banks = true;
  const emu::ScopedConfig scope(config);
  const auto map = [](int c, int h, int w) { return Desc::nhwc(1, c, h, w); };
  std::set<int> turns_seen;
  for (const Case& c : {conv_case("banks_1x1", {.bias = true}, {map(136, 5, 17)}, 136, 1),
                        conv_case("banks_3x3", {.padding = 1, .bias = true}, {map(72, 9, 19)}, 72, 3),
                        conv_case("banks_3x3_stride_2", {.stride = 2, .padding = 1}, {map(40, 17, 35)}, 72, 3)}) {
    CudaBackend cuda(GpuInfo::current(), Precision::fp16);
    Desc out = infer(c.op, c.in);
    const Case stored = in_halves(c, out);
    std::vector<ConvPlan> plans;
    const auto run = [&](const ConvPlan* plan) {
      PlanBackend backend{cuda, plan, plans};
      return run_op(stored, values_of(c), backend, {}, DeviceMemory(), &out).step.kernel;
    };
    run(nullptr);
    emu::shared_traffic();  // forgets that
    std::set<std::string> seen;
    for (const ConvPlan& plan : plans) {
      const gpu::ConvTiling& t = plan.tiling;
      const int turns = bank_turns(t);
      bool fresh = false;
      for (const std::string& trait : {"block " + std::to_string(plan.block), "planes " + std::to_string(t.planes),
                                       "turns " + std::to_string(turns), "taps " + std::to_string(t.columns.taps),
                                       "split " + std::to_string(t.splits > 1)})
        fresh |= seen.insert(trait).second;
      if (!fresh) continue;
      turns_seen.insert(turns);
      const std::string kernel = run(&plan);
      // By line: of the two that call ldmatrix the first reads activations.
      std::vector<emu::SharedTraffic> traffic = emu::shared_traffic();
      const auto activations = std::find_if(traffic.begin(), traffic.end(), [](auto& l) { return l.op == "ldmatrix"; });
      REQUIRE(activations != traffic.end());
      for (const std::string op : {"cp.async", "ldmatrix", "load_vec", "store_vec"})
        CHECK(std::any_of(traffic.begin(), traffic.end(), [&](auto& l) { return l.op == op; }));
      for (const emu::SharedTraffic& line : traffic) {
        INFO(c.name << ", " << kernel << ": " << line.op << " in " << line.file << ":" << line.line);
        CHECK(line.turns == line.least_turns * static_cast<unsigned>(&line == &*activations ? turns : 1));
      }
    }
  }
  CHECK(turns_seen == std::set<int>{1, 2});
#endif
}

}  // namespace fathom::test
