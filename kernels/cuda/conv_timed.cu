// Conv2d chosen by timing: every kernel that fits and the likeliest plans of the core, on this GPU, each by itself.
#include <algorithm>
#include <map>
#include <tuple>

#include "conv.cuh"
#include "conv_gemm.cuh"
#include "engine/cuda/step_timer.hpp"
#include "engine/cuda/tuning.hpp"

namespace fathom::gpu {

namespace {

struct Variant {
  std::string name;
  std::function<void(const ConvTask&, Step&)> build;
  const ConvPlan* plan = nullptr;  // of the core; null: there is one way only
};

// All variants of a problem, and the plans that they point to.
class Variants {
 public:
  Variants(std::span<const ConvChoice> choices, const ConvTask& task) {
    for (const ConvChoice& choice : choices)
      if (choice.may(task).empty()) add(choice, task);
    for (const LibraryKernel& kernel : library_kernels(task))
      list_.push_back({kernel.name, [kernel](const ConvTask& t, Step& step) { build_library(t, step, kernel); }});
  }

  const Variant* named(const std::string& name) const {
    const auto found = std::find_if(list_.begin(), list_.end(), [&](const Variant& v) { return v.name == name; });
    return found == list_.end() ? nullptr : &*found;
  }

  // Those to be timed: of the core the best by its cost model for each shape of block and stage and each number of
  // splits, at most so many; and everything else but the general kernel, which no other is slower than.
  std::vector<const Variant*> likely() const {
    constexpr std::size_t most_plans = 16;
    std::map<std::tuple<bool, int, int, int, int>, const Variant*> best;
    std::vector<const Variant*> chosen, planned;
    for (const Variant& v : list_) {
      if (!v.plan) {
        if (v.name != "general") chosen.push_back(&v);
        continue;
      }
      const ConvTiling& t = v.plan->tiling;
      const Variant*& known = best[{t.phase_blocks > 0, v.plan->block, t.rows.taps, t.columns.taps, t.splits}];
      if (!known || v.plan->cycles < known->plan->cycles) known = &v;
    }
    for (const auto& [shape, v] : best) planned.push_back(v);
    std::stable_sort(planned.begin(), planned.end(),
                     [](const Variant* a, const Variant* b) { return a->plan->cycles < b->plan->cycles; });
    planned.resize(std::min(planned.size(), most_plans));
    chosen.insert(chosen.end(), planned.begin(), planned.end());
    return chosen;
  }

 private:
  void add(const ConvChoice& choice, const ConvTask& task) {
    if (!choice.problem) return list_.push_back({choice.name, choice.build});
    for_each_plan(choice.problem(task), task.backend.gpu(), [&](const ConvPlan& plan) {
      plans_.push_back(std::make_unique<ConvPlan>(plan));
      const auto build = [build = choice.build_plan, plan](const ConvTask& t, Step& step) { build(t, step, plan); };
      list_.push_back({choice.name + (": " + to_text(plan)), build, plans_.back().get()});
    });
  }

  std::vector<Variant> list_;
  std::vector<std::unique_ptr<ConvPlan>> plans_;
};

// All that the choice depends on besides the GPU.
std::string text_of(const ConvTask& task) {
  std::string text = to_text(Op(task.op));
  const auto add = [&](const Operand& o) {
    text += std::string("; ") + to_string(o.desc.dtype) + " " + shape_text(o.desc);
    if (o.constant) return;
    text += " by";
    for (int k = 0; k < o.desc.rank; ++k) text += " " + std::to_string(o.desc.stride[static_cast<std::size_t>(k)]);
  };
  for (const Operand& o : task.io.in) add(o);
  add(task.io.out);
  if (task.backend.precision() == Precision::tf32) text += "; tf32";
  if (task.io.in_place >= 0) text += "; in place";
  if (const std::string versions = library_versions(task); !versions.empty()) text += "; beside " + versions;
  return text;
}

// One that cannot run is not chosen; with little memory left, the cost model chooses.
TimedChoice fastest(const Variants& variants, const ConvTask& task) {
  TimedChoice best;
  std::string failed;
  try {
    StepTimer timer(task.io);
    for (const Variant* variant : variants.likely()) try {
        CudaBackend trial(task.backend.gpu(), task.backend.precision(), Constants::made_up);
        Step step;
        const ConvTask on_trial(task.op, task.io, trial);
        variant->build(on_trial, step);
        const double us = timer.microseconds(with_means_asked(on_trial, std::move(step)));
        if (best.name.empty() || us < best.microseconds) best = {variant->name, us};
      } catch (const Error& e) {
        if (e.kind() != ErrorKind::device) throw;
        failed = variant->name + ": " + e.what();
      }
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::memory) throw;
    return {};
  }
  if (best.name.empty() && !failed.empty()) throw Error(ErrorKind::device, failed);
  return best;
}

}  // namespace

bool build_timed(std::span<const ConvChoice> choices, const ConvTask& task, Step& step) {
  Tuning* const tuning = task.backend.tuning();
  if (!tuning) return false;
  const Variants variants(choices, task);
  if (variants.likely().size() < 2) return false;
  const TimedChoice choice = tuning->choice(
      text_of(task), [&](const std::string& name) { return variants.named(name) != nullptr; },
      [&] { return task.backend.constants() == Constants::packed ? fastest(variants, task) : TimedChoice{}; });
  const Variant* const variant = variants.named(choice.name);
  if (!variant) return false;
  step.kernel = variant->name;
  variant->build(task, step);
  char text[48];
  std::snprintf(text, sizeof text, "the others: slower than its %.1f us", choice.microseconds);
  step.refused.emplace_back(text);
  return true;
}

}  // namespace fathom::gpu
