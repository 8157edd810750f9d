// What steps share: the GPU's properties and the packed weights.
#include <atomic>
#include <thread>

#include "tests/kernels/cuda/check_cuda.hpp"

using namespace fathom;
using namespace fathom::test;

TEST_CASE("cuda: what is known of the GPU is what the runtime says", "[cuda][mixed]") {
  cudaDeviceProp properties{};
  REQUIRE(cudaGetDeviceProperties(&properties, 0) == cudaSuccess);
  const GpuInfo gpu = GpuInfo::current();
  CHECK(gpu.name == properties.name);
  CHECK(gpu.major == properties.major);
  CHECK(gpu.minor == properties.minor);
  CHECK(gpu.multiprocessors == properties.multiProcessorCount);
  CHECK(gpu.shared_bytes == static_cast<std::int64_t>(properties.sharedMemPerBlockOptin));
  CHECK(gpu.total_bytes == static_cast<std::int64_t>(properties.totalGlobalMem));
  CHECK(gpu.l2_bytes == properties.l2CacheSize);
  CHECK(gpu.present);
}

TEST_CASE("cuda: weights are packed once for all steps that want them, from any thread", "[cuda][mixed]") {
  CudaBackend cuda(GpuInfo::current(), Precision::fp32);
  std::atomic<int> packings{0}, inside{0}, most_inside{0};
  const auto take = [&](const std::string& key) {
    return cuda.packed(key, 64, [&](std::byte* to) {
      most_inside = std::max(most_inside.load(), ++inside);
      std::this_thread::yield();
      std::fill_n(to, 64, std::byte{7});
      ++packings, --inside;
    });
  };
  const auto first = take("a"), again = take("a"), other = take("b");
  CHECK(first == again);
  CHECK(first != other);
  CHECK(packings == 2);
  CHECK(cuda.packed_bytes() == 128);
  std::vector<std::byte> values(64);
  REQUIRE(cudaMemcpy(values.data(), first.get(), 64, cudaMemcpyDeviceToHost) == cudaSuccess);
  CHECK(values[63] == std::byte{7});

  std::vector<std::thread> threads;
  std::vector<std::shared_ptr<const void>> kept(8 * 50);
  for (std::size_t t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (std::size_t k = 0; k < 50; ++k) kept[t * 50 + k] = take(std::to_string(k));
    });
  for (std::thread& t : threads) t.join();
  CHECK(packings == 52);
  CHECK(most_inside == 1);
  for (std::size_t t = 1; t < 8; ++t)
    for (std::size_t k = 0; k < 50; ++k) CHECK(kept[t * 50 + k] == kept[k]);
}
