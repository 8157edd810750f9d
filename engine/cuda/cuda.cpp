#include "engine/cuda/cuda.hpp"

#include "engine/cuda/libraries.hpp"
#include "engine/cuda/tuning.hpp"
#include "fathom/error.hpp"
#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/launch.cuh"

namespace fathom {

using gpu::check;

OnDevice::OnDevice(int device) {
  int current = 0;
  check(cudaGetDevice(&current));
  if (current == device) return;
  check(cudaSetDevice(device));
  before_ = current;
}

OnDevice::~OnDevice() {
  if (before_ >= 0) (void)cudaSetDevice(before_);
}

namespace {

const char* text_of(Precision precision) {
  return precision == Precision::fp16 ? "fp16" : precision == Precision::tf32 ? "tf32" : "fp32";
}

int current_device() {
  int device = 0;
  check(cudaGetDevice(&device));
  return device;
}

class Cuda final : public Backend {
 public:
  Cuda(GpuInfo gpu, Precision precision, bool plan_only, std::shared_ptr<Tuning> tuning)
      : device_(plan_only ? -1 : current_device()),
        tuning_(tuning),
        backend_(std::move(gpu), precision, plan_only ? Constants::left_out : Constants::packed, std::move(tuning)) {}

  std::string name() const override {
    const GpuInfo& gpu = backend_.gpu();
    return gpu.name + ", " + text_of(backend_.precision()) +
           (device_ < 0 ? gpu.present ? ", planned only" : ", assumed and planned only" : "");
  }
  // The kernels of pooled convolutions and of inverted residual blocks are for halves.
  Fusions fusions() const override {
    const bool halves = backend_.precision() == Precision::fp16;
    return {.stems = halves, .blocks = halves};
  }
  StorageRules rules() const override { return cuda_storage_rules(); }
  Graph choose_types(Graph graph) const override {
    return backend_.precision() == Precision::fp16 ? store_halves(std::move(graph)) : graph;
  }
  Step prepare(const Op& op, const NodeIo& io) override {
    const auto choose = [&] { return std::visit([&](const auto& o) { return fathom::prepare(o, io, backend_); }, op); };
    if (device_ < 0) return choose();
    const OnDevice here(device_);
    return choose();
  }
  std::vector<Step> library_steps(const Op& op, const NodeIo& io) override {
    const auto* const conv = std::get_if<Conv2d>(&op);
    if (!conv || device_ < 0) return {};
    const OnDevice here(device_);
    if (const OpenedLibraries& found = backend_.libraries(); found.list.empty())
      throw Error(ErrorKind::unsupported, "no library: " + found.missing);
    return fathom::library_steps(*conv, io, backend_);
  }
  std::int64_t weight_bytes() const override { return backend_.packed_bytes(); }

  bool plans_only() const override { return device_ < 0; }
  bool on_host() const override { return false; }
  std::int64_t alignment() const override { return 16; }

  std::shared_ptr<std::byte> allocate(std::int64_t bytes) override {
    const OnDevice here(device_);
    void* memory = nullptr;
    const cudaError_t error = cudaMalloc(&memory, static_cast<std::size_t>(bytes));
    if (error == cudaErrorMemoryAllocation) {
      (void)cudaGetLastError();
      throw Error(ErrorKind::memory, "the GPU has no " + std::to_string(bytes) + " bytes of memory left (" +
                                         std::to_string(free_bytes()) +
                                         " are free): choose a smaller size or batch, or end other sessions");
    }
    check(error);
    return {static_cast<std::byte*>(memory), [](std::byte* p) { (void)cudaFree(p); }};
  }

  std::shared_ptr<std::byte> allocate_zeroed(std::int64_t bytes) override {
    const OnDevice here(device_);
    std::shared_ptr<std::byte> memory = allocate(bytes);
    check(cudaMemset(memory.get(), 0, static_cast<std::size_t>(bytes)));
    check(cudaStreamSynchronize(nullptr));  // sessions' streams do not wait for the default one
    return memory;
  }

  std::shared_ptr<std::byte> allocate_staging(std::int64_t bytes) override {
    const OnDevice here(device_);
    void* memory = nullptr;
    check(cudaMallocHost(&memory, static_cast<std::size_t>(bytes)));
    return {static_cast<std::byte*>(memory), [](std::byte* p) { (void)cudaFreeHost(p); }};
  }

  std::int64_t free_bytes() const override {
    if (device_ < 0) return -1;
    const OnDevice here(device_);
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total));
    return static_cast<std::int64_t>(free);
  }

  std::int64_t cache_bytes() const override { return backend_.gpu().l2_bytes; }

  std::unique_ptr<Queue> queue() override { return make_cuda_queue(device_); }
  std::string warning() const override { return tuning_ ? tuning_->warning() : ""; }

 private:
  int device_;  // -1: plans only
  std::shared_ptr<Tuning> tuning_;
  CudaBackend backend_;
};

}  // namespace

std::unique_ptr<Backend> make_cuda(GpuInfo gpu, Precision precision, bool plan_only, const std::string& tuning) {
  std::shared_ptr<Tuning> choices;
  if (!tuning.empty()) {
    int driver = 0;
    (void)cudaDriverGetVersion(&driver);
    choices =
        std::make_shared<Tuning>(tuning, gpu.name + ", driver " + std::to_string(driver) + ", Fathom " FATHOM_VERSION);
  }
  return std::make_unique<Cuda>(std::move(gpu), precision, plan_only, std::move(choices));
}

}  // namespace fathom
