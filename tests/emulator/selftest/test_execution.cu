// How the emulator runs a kernel: who runs, in which order, on which memory, and how an error reaches the launch.
#include <algorithm>
#include <set>
#include <thread>
#include <vector>

#include "kernels/cuda/gpu.cuh"
#include "kernels/cuda/vec.cuh"
#include "tests/catch.hpp"
#include "tests/emulator/emu.hpp"

namespace emu = fathom::emu;
namespace gpu = fathom::gpu;
using emu::Config;
using emu::Error;
using emu::ErrorKind;
using emu::Order;
using emu::ScopedConfig;

namespace {

template <class T>
class Device {  // an array in device memory, read by the test as it is
 public:
  explicit Device(std::size_t count) : count_(count) {
    gpu::check(cudaMalloc(reinterpret_cast<void**>(&data_), count * sizeof(T)));
  }
  ~Device() { cudaFree(data_); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  Device& fill_zero() { return gpu::check(cudaMemset(data_, 0, count_ * sizeof(T))), *this; }
  T* get() const { return data_; }
  T& operator[](std::size_t i) const { return data_[i]; }
  std::vector<T> values() const { return {data_, data_ + count_}; }

 private:
  T* data_ = nullptr;
  std::size_t count_;
};

__global__ void count_visits(unsigned* visits) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  atomicAdd(visits + block * blockDim.x * blockDim.y * blockDim.z + thread, 1u);
}

// When each thread of a block ran, before a barrier and after it.
__global__ void take_tickets(unsigned* counter, unsigned* before, unsigned* after) {
  before[threadIdx.x] = atomicAdd(counter, 1u);
  __syncthreads();
  after[threadIdx.x] = atomicAdd(counter, 1u);
}

// Every lane stores N words at a distance of `stride` from the last lane's.
template <int N>
__global__ void store_at_a_distance(int stride) {
  GPU_SHARED(float, room, [32 * 16]);
  gpu::store_vec(room + threadIdx.x % 32 * static_cast<unsigned>(stride), gpu::Vec<float, N>{});
}

std::vector<unsigned> tickets(Order order, std::uint32_t seed) {
  const ScopedConfig scope({.order = order, .seed = seed});
  Device<unsigned> counter(1), before(96), after(96);
  counter.fill_zero();
  gpu::launch(take_tickets, {.grid = 1, .block = 96}, nullptr, counter.get(), before.get(), after.get());
  std::vector<unsigned> both = before.values();
  for (unsigned ticket : after.values()) both.push_back(ticket);
  return both;
}

__global__ void sum_dynamic(float* y, int count) {
  GPU_DYNAMIC_SHARED(bytes);
  auto* s = reinterpret_cast<float*>(bytes);
  const int t = static_cast<int>(threadIdx.x);
  for (int i = t; i < count; i += static_cast<int>(blockDim.x)) s[i] = 1;
  __syncthreads();
  float sum = 0;
  for (int i = t; i < count; i += static_cast<int>(blockDim.x)) sum += s[i];
  sum = gpu::block_sum<64>(sum);
  if (t == 0) *y = sum;
}

__global__ void big_static(float* y) {
  GPU_SHARED(float, s, [10 * 1024]);
  s[0] = 1;
  *y = s[0];
}

__global__ void read_before_wait(const float* x, float* y) {
  GPU_SHARED(float, s, [4]);
  gpu::cp_async<16>(s, x);
  y[0] = s[1];
  gpu::cp_async_wait_all();
  y[1] = s[1];
}

__global__ void disagree(int* y) {  // lane 5 has another idea of who takes part
  y[threadIdx.x] = __shfl_sync(threadIdx.x == 5 ? 0x3Fu : ~0u, 1, 0);
}

__global__ void leave_early(int* y) {
  if (threadIdx.x >= 20) return;
  y[threadIdx.x] = __shfl_sync(~0u, 1, 0);
}

__global__ void leave_before_barrier(int* y) {
  if (threadIdx.x >= 20) return;
  y[threadIdx.x] = __syncthreads_or(1);
}

__global__ void wait_crosswise(int*) {
  if (threadIdx.x < 8) __syncwarp();
  __syncthreads();
}

__global__ void throw_something(int thread) {
  if (static_cast<int>(threadIdx.x) == thread) throw std::out_of_range("from a kernel");
  __syncthreads();
}

__global__ void add_one(float* y) { atomicAdd(y, 1.0f); }

template <class F>
Error error_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  FAIL("no error");
  throw 0;
}

}  // namespace

TEST_CASE("every thread of every block runs once, in partial warps too") {
  for (const int os_threads : {1, 3}) {
    const ScopedConfig scope({.os_threads = os_threads});
    Device<unsigned> visits(2 * 3 * 4 * 5 * 7 * 2);
    visits.fill_zero();
    gpu::launch(count_visits, {.grid = {2, 3, 4}, .block = {5, 7, 2}}, nullptr, visits.get());
    for (unsigned n : visits.values()) REQUIRE(n == 1);
  }
}

TEST_CASE("the order of threads is the one asked for") {
  const auto in_order = tickets(Order::in_order, 1), reverse = tickets(Order::reverse, 1);
  for (unsigned t = 0; t < 96; ++t) {
    CHECK(in_order[t] == t);
    CHECK(in_order[96 + t] == 96 + t);
    CHECK(reverse[t] == 95 - t);
    CHECK(reverse[96 + t] == 96 + 95 - t);
  }
  const auto shuffled = tickets(Order::shuffle, 1), other = tickets(Order::shuffle, 2);
  CHECK(shuffled == tickets(Order::shuffle, 1));  // a run can be repeated
  CHECK(shuffled != other);
  CHECK(shuffled != in_order);
  CHECK(std::set<unsigned>(shuffled.begin(), shuffled.begin() + 96) ==
        std::set<unsigned>(in_order.begin(), in_order.begin() + 96));
}

TEST_CASE("dynamic shared memory: over 48 KiB, up to the limit, and no further") {
  Device<float> y(1);
  for (const int kibibytes : {1, 48, 96, 226}) {
    gpu::launch(sum_dynamic, {.grid = 1, .block = 64, .shared_bytes = static_cast<std::size_t>(kibibytes) * 1024},
                nullptr, y.get(), kibibytes * 256);
    CHECK(y[0] == static_cast<float>(kibibytes * 256));
  }
  try {
    gpu::launch(sum_dynamic, {.grid = 1, .block = 64, .shared_bytes = 228 * 1024}, nullptr, y.get(), 1);
    FAIL("accepted");
  } catch (const gpu::CudaError& error) {
    CHECK(error.code == cudaErrorInvalidValue);
    CHECK(error.site.line == __LINE__ - 4);
  }
  const ScopedConfig smaller_gpu({.shared_limit = 48 * 1024});
  gpu::launch(big_static, {.grid = 1, .block = 1, .shared_bytes = 8 * 1024}, nullptr, y.get());
  const Error error =
      error_of([&] { gpu::launch(big_static, {.grid = 1, .block = 1, .shared_bytes = 16 * 1024}, nullptr, y.get()); });
  CHECK(error.kind == ErrorKind::shared_exhausted);
}

TEST_CASE("a launch that no GPU would take is an error code") {
  Device<float> y(1);
  for (const dim3 block : {dim3(1025), dim3(0), dim3(1, 1, 65), dim3(64, 32)}) {
    CHECK_THROWS_AS(gpu::launch(add_one, {.grid = 1, .block = block}, nullptr, y.get()), gpu::CudaError);
  }
  CHECK_THROWS_AS(gpu::launch(add_one, {.grid = {1, 65536}, .block = 1}, nullptr, y.get()), gpu::CudaError);
  CHECK(cudaGetLastError() == cudaSuccess);  // what was reported does not linger
}

TEST_CASE("an asynchronous copy is made at its wait, or at once") {
  Device<float> x(4), y(2);
  for (std::size_t i = 0; i < 4; ++i) x[i] = static_cast<float>(i);
  for (const bool early : {false, true}) {
    const ScopedConfig scope({.early_copies = early});
    gpu::launch(read_before_wait, {.grid = 1, .block = 1}, nullptr, x.get(), y.get());
    CHECK((early ? y[0] == 1 : y[0] != y[0]));  // NaN while under way
    CHECK(y[1] == 1);
  }
}

TEST_CASE("an error names operation, line, block and thread; the next launch starts afresh") {
  Device<int> lanes(32);
  const Error error = error_of([&] { gpu::launch(disagree, {.grid = 1, .block = 32}, nullptr, lanes.get()); });
  CHECK(error.kind == ErrorKind::divergent_warp);
  CHECK(error.op == "__shfl_sync");
  CHECK(std::string(error.site.file).find("test_execution.cu") != std::string::npos);
  CHECK(error.site.line > 0);
  CHECK(error.where.find("block (0,0,0) thread (") == 0);
  CHECK(std::string(error.what()).find("__shfl_sync at test_execution.cu:" + std::to_string(error.site.line)) == 0);
  const auto kind_of = [&](void (*kernel)(int*)) {
    return error_of([&] { gpu::launch(kernel, {.grid = 1, .block = 32}, nullptr, lanes.get()); }).kind;
  };
  CHECK(kind_of(leave_early) == ErrorKind::divergent_warp);
  CHECK(kind_of(leave_before_barrier) == ErrorKind::divergent_barrier);
  CHECK(kind_of(wait_crosswise) == ErrorKind::deadlock);
  Device<float> y(1);
  y.fill_zero();
  gpu::launch(add_one, {.grid = 10, .block = 32}, nullptr, y.get());
  CHECK(y[0] == 320);
}

TEST_CASE("an exception in a kernel reaches the launch") {
  for (const int thread : {0, 17, 63}) {
    CHECK_THROWS_AS(gpu::launch(throw_something, {.grid = 3, .block = 64}, nullptr, thread), std::out_of_range);
  }
  CHECK_NOTHROW(gpu::launch(throw_something, {.grid = 3, .block = 64}, nullptr, -1));
}

TEST_CASE("host threads may launch at the same time") {
  Device<float> y(1);
  y.fill_zero();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 20; ++k) gpu::launch(add_one, {.grid = 4, .block = 32}, nullptr, y.get());
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(y[0] == 4 * 20 * 4 * 32);
}

TEST_CASE("a view finds its element, in images past 2^31 too") {
  float origin = 0;
  const auto x = gpu::channels_last(&origin, 3, 5, 7, 9, 8);
  CHECK(&x(0, 0, 0, 0) == &origin);
  CHECK(x.offset_inside(4, 6, 8) == (6 * 9 + 8) * 8 + 4);
  CHECK(x.outer_stride == 7 * 9 * 8);
  CHECK(x.size() == 3 * 5 * 7 * 9);
  struct Wide {
    float* data;
    std::int64_t extent[4], stride[4];
  };
  const Wide wide{&origin, {3, 5, 7, 9}, {7 * 9 * 8, 1, 9 * 8, 8}};
  CHECK(gpu::narrow(wide).offset_inside(4, 6, 8) == x.offset_inside(4, 6, 8));
  CHECK(gpu::narrow(wide).outer_stride == x.outer_stride);
  const Wide huge{&origin, {1, 64, 8192, 8192}, {std::int64_t{1} << 32, 1, 8192 * 64, 64}};
  CHECK_THROWS_AS(gpu::narrow(huge), fathom::Error);
  const auto p = gpu::planes(&origin, 70000, 200, 200);
  CHECK(p.offset_inside(199, 198) == 199 * 200 + 198);
  CHECK(p.size() == 70000ll * 200 * 200);
  CHECK(p.outer_stride * 69999 == 69999ll * 200 * 200);  // not in 32 bits
}

TEST_CASE("swizzled tiles: eight rows of a chunk lie in eight different banks, and no two chunks share a place") {
  const auto check = [](auto tile, int chunks) {
    std::set<int> places;
    for (int row = 0; row < 64; ++row) {
      for (int chunk = 0; chunk < chunks; ++chunk) places.insert(tile.place(row, chunk));
    }
    CHECK(places.size() == static_cast<std::size_t>(64 * chunks));
    CHECK(*places.rbegin() == 64 * chunks * 8 - 8);
    for (int row = 0; row < 64; row += 8) {
      for (int chunk = 0; chunk < chunks; ++chunk) {
        std::set<int> banks;  // of 16 bytes
        for (int i = 0; i < 8; ++i) banks.insert(tile.place(row + i, chunk) / 8 % 8);
        CHECK(banks.size() == 8);
      }
    }
  };
  check(gpu::SwizzledTile<8>{}, 1);
  check(gpu::SwizzledTile<16>{}, 2);
  check(gpu::SwizzledTile<32>{}, 4);
  check(gpu::SwizzledTile<64>{}, 8);
  check(gpu::SwizzledTile<128>{}, 16);
}

TEST_CASE("banks: what a warp takes of shared memory is counted in turns, where it is asked for") {
  const auto turns = [](auto kernel, int stride, bool count) {
    emu::Config config = emu::config();
    config.count_banks = count;
    const ScopedConfig scope(config);
    emu::shared_traffic();
    gpu::launch(kernel, {.grid = 2, .block = 64}, nullptr, stride);
    const auto traffic = emu::shared_traffic();
    std::vector<std::uint64_t> numbers;
    for (const auto& line : traffic) numbers.insert(numbers.end(), {line.turns, line.least_turns});
    return numbers;
  };
  using Numbers = std::vector<std::uint64_t>;
  constexpr int kWarps = 4;
  CHECK(turns(store_at_a_distance<1>, 1, false) == Numbers{});
  CHECK(turns(store_at_a_distance<1>, 0, true) == Numbers{1 * kWarps, 1 * kWarps});  // one word: no conflict
  CHECK(turns(store_at_a_distance<1>, 1, true) == Numbers{1 * kWarps, 1 * kWarps});
  CHECK(turns(store_at_a_distance<1>, 2, true) == Numbers{2 * kWarps, 1 * kWarps});
  CHECK(turns(store_at_a_distance<1>, 16, true) == Numbers{16 * kWarps, 1 * kWarps});
  CHECK(turns(store_at_a_distance<4>, 4, true) == Numbers{4 * kWarps, 4 * kWarps});
  CHECK(turns(store_at_a_distance<4>, 8, true) == Numbers{8 * kWarps, 4 * kWarps});
  CHECK(turns(store_at_a_distance<2>, 2, true) == Numbers{2 * kWarps, 2 * kWarps});
}
