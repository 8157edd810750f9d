#include "engine/cuda/step_timer.hpp"

#include <algorithm>
#include <utility>

#include "engine/cuda/cuda.hpp"
#include "kernels/cuda/launch.cuh"

namespace fathom {

namespace {

using gpu::check;

constexpr int kSmall = 0x2c;  // every byte of made-up numbers: 0.065 as a half, 2e-12 as a float

std::shared_ptr<std::byte> filled(std::int64_t bytes, int value) {
  if (bytes == 0) return nullptr;
  void* memory = nullptr;
  check(cudaMalloc(&memory, static_cast<std::size_t>(bytes)));
  std::shared_ptr<std::byte> owned(static_cast<std::byte*>(memory), [](std::byte* p) { (void)cudaFree(p); });
  check(cudaMemset(memory, value, static_cast<std::size_t>(bytes)));
  check(cudaStreamSynchronize(nullptr));  // the queue's stream does not wait for the default one
  return owned;
}

int current_device() {
  int device = 0;
  check(cudaGetDevice(&device));
  return device;
}

}  // namespace

StepTimer::StepTimer(const NodeIo& io) : queue_(make_cuda_queue(current_device())) {
  const auto place = [&](const Operand& o) -> void*& {
    const auto id = static_cast<std::size_t>(o.id);
    if (data_.size() <= id) data_.resize(id + 1);
    return data_[id];
  };
  const auto give = [&](const Operand& o) {
    if (o.constant || place(o)) return;
    memory_.push_back(filled(o.desc.storage_bytes(), kSmall));
    place(o) = memory_.back().get();
  };
  for (const Operand& o : io.in) give(o);
  if (io.in_place >= 0)
    place(io.out) = place(io.in[static_cast<std::size_t>(io.in_place)]);
  else
    give(io.out);
  if (io.mean.id >= 0) give(io.mean);
}

double StepTimer::microseconds(const Step& step) {
  constexpr int bursts = 4;
  constexpr double burst_ms = 0.2;
  const Memory workspace = filled(step.workspace_bytes, 0), counters = filled(std::int64_t{step.counters} * 4, 0);
  const RunArgs args{data_.data(), workspace.get(), queue_->stream(), reinterpret_cast<unsigned*>(counters.get())};
  step.run(args);  // kernels set themselves up
  const double once_ms = queue_->time_ms(1, [&] { step.run(args); })[0];
  const int runs = static_cast<int>(std::clamp(burst_ms / std::max(once_ms, 1e-4), 1.0, 20.0));
  const std::unique_ptr<Recorder> recorder = queue_->recorder();
  const RepeatedWork work{std::vector<bool>(static_cast<std::size_t>(runs)), [&](int, void* stream) {
                            RunArgs here = args;
                            here.stream = stream;
                            step.run(here);
                          }};
  const auto burst = [&] { recorder->run(work, {}, queue_->stream()); };
  if (!std::exchange(warm_, true)) {  // a GPU that was idle would time the first kernels at lower clocks
    constexpr double warming_ms = 50;
    (void)queue_->time_ms(static_cast<int>(std::clamp(warming_ms / (std::max(once_ms, 1e-4) * runs), 1.0, 250.0)),
                          burst);
  }
  const std::vector<double> ms = queue_->time_ms(bursts, burst);
  return *std::min_element(ms.begin() + 2, ms.end()) * 1000 / runs;  // the first were to make the graph
}

}  // namespace fathom
