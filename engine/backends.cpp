// The host backends behind the one interface that sessions use: overload resolution finds the kernel of each op.
#include <chrono>
#include <cstring>

#include "engine/backend.hpp"
#include "kernels/cpu/kernels.hpp"
#include "kernels/reference/kernels.hpp"

namespace fathom {

namespace {

class HostRecorder final : public Recorder {
 public:
  void run(const RepeatedWork& work, const std::vector<const void*>&, void* stream) override {
    enqueue_all(work, stream);
  }
};

class HostQueue final : public Queue {
 public:
  void* stream() const override { return nullptr; }
  void upload(void* to, const void* from, std::int64_t bytes) override { copy(to, from, bytes); }
  void download(void* to, const void* from, std::int64_t bytes) override { copy(to, from, bytes); }
  void wait(void*) override {}
  std::vector<double> time_ms(int runs, const std::function<void()>& enqueue) override {
    using Clock = std::chrono::steady_clock;
    std::vector<double> times;
    for (int k = 0; k < runs; ++k) {
      const Clock::time_point before = Clock::now();
      enqueue();
      times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - before).count());
    }
    return times;
  }
  std::unique_ptr<Recorder> recorder() override { return std::make_unique<HostRecorder>(); }

 private:
  static void copy(void* to, const void* from, std::int64_t bytes) { std::memcpy(to, from, static_cast<std::size_t>(bytes)); }
};

class Reference final : public HostBackend {
 public:
  std::string name() const override { return "reference (double accumulators, one thread)"; }
  Fusions fusions() const override { return {}; }
  StorageRules rules() const override { return {}; }
  Step prepare(const Op& op, const NodeIo& io) override {
    return std::visit([&](const auto& o) { return fathom::prepare(o, io, backend_); }, op);
  }
  std::int64_t weight_bytes() const override { return 0; }  // it reads the model's own constants

 private:
  ReferenceBackend backend_;
};

class Cpu final : public HostBackend {
 public:
  explicit Cpu(int threads) : backend_(threads) {}
  std::string name() const override { return "CPU, " + std::to_string(backend_.threads()) + " threads"; }
  Fusions fusions() const override {
    return {.preprocess = false,
            .prologue = false,
            .addend = false,
            .shuffle = false,
            .output_gate = false,
            .branches = false,
            .channel_gate = false,
            .means = false,
            .early_gates = false,
            .transposes = false,  // oneDNN takes their maps as they are
            .phases = false,
            .residual_last = false,
            .result = false,
            .crop = false,
            .sums = false,
            .stems = false,
            .blocks = false,
            .split = false};
  }
  StorageRules rules() const override { return cpu_storage_rules(); }
  Step prepare(const Op& op, const NodeIo& io) override {
    return std::visit([&](const auto& o) { return fathom::prepare(o, io, backend_); }, op);
  }
  std::int64_t weight_bytes() const override { return backend_.packed_bytes(); }

 private:
  CpuBackend backend_;
};

}  // namespace

std::shared_ptr<std::byte> HostBackend::allocate(std::int64_t bytes) {
  auto buffer = std::make_shared<Buffer>(bytes);
  return {buffer, buffer->data()};
}

std::shared_ptr<std::byte> HostBackend::allocate_zeroed(std::int64_t bytes) {
  std::shared_ptr<std::byte> memory = allocate(bytes);
  std::memset(memory.get(), 0, static_cast<std::size_t>(bytes));
  return memory;
}

std::unique_ptr<Queue> HostBackend::queue() { return std::make_unique<HostQueue>(); }

std::unique_ptr<Backend> make_reference_backend() { return std::make_unique<Reference>(); }
std::unique_ptr<Backend> make_cpu_backend(int threads) { return std::make_unique<Cpu>(threads); }

}  // namespace fathom
