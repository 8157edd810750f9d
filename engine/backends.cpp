// The host backends behind the one interface that sessions use: overload resolution finds the kernel of each op.
#include "engine/backend.hpp"
#include "kernels/cpu/kernels.hpp"
#include "kernels/reference/kernels.hpp"

namespace fathom {

namespace {

std::shared_ptr<std::byte> allocate_host(std::int64_t bytes) {
  auto buffer = std::make_shared<Buffer>(bytes);
  return {buffer, buffer->data()};
}

class Reference final : public Backend {
 public:
  std::string name() const override { return "reference (double accumulators, one thread)"; }
  Fusions fusions() const override { return {}; }
  StorageRules rules() const override { return {}; }
  Step prepare(const Op& op, const NodeIo& io) override {
    return std::visit([&](const auto& o) { return fathom::prepare(o, io, backend_); }, op);
  }
  std::shared_ptr<std::byte> allocate(std::int64_t bytes) override { return allocate_host(bytes); }
  std::int64_t weight_bytes() const override { return 0; }  // it reads the model's own constants

 private:
  ReferenceBackend backend_;
};

class Cpu final : public Backend {
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
            .split = false};
  }
  StorageRules rules() const override { return cpu_storage_rules(); }
  Step prepare(const Op& op, const NodeIo& io) override {
    return std::visit([&](const auto& o) { return fathom::prepare(o, io, backend_); }, op);
  }
  std::shared_ptr<std::byte> allocate(std::int64_t bytes) override { return allocate_host(bytes); }
  std::int64_t weight_bytes() const override { return backend_.packed_bytes(); }

 private:
  CpuBackend backend_;
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend() { return std::make_unique<Reference>(); }
std::unique_ptr<Backend> make_cpu_backend(int threads) { return std::make_unique<Cpu>(threads); }

}  // namespace fathom
