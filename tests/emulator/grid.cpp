// A launch: blocks dealt to workers, in the order that the configuration asks for.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

#include "tests/emulator/faults.hpp"
#include "tests/emulator/sanitizers.hpp"
#include "tests/emulator/stream.hpp"
#include "tests/emulator/stream_order.hpp"
#include "tests/emulator/worker.hpp"

namespace fathom::emu {
namespace {

// Of one block, in bytes.
std::size_t shared_limit_of(int capability) {
  switch (capability) {
    case 75: return 64 * 1024;
    case 80: return 163 * 1024;
    case 86: case 89: return 99 * 1024;
    case 90: return 227 * 1024;
    default: throw std::invalid_argument("FATHOM_EMU_CAPABILITY is 75, 80, 86, 89 or 90");
  }
}

Config config_from_environment() {
  Config config;
  const auto value = [](const char* name) { return std::string(std::getenv(name) ? std::getenv(name) : ""); };
  const std::string order = value("FATHOM_EMU_ORDER");
  if (order == "in_order") config.order = Order::in_order;
  if (order == "reverse") config.order = Order::reverse;
  if (const std::string seed = value("FATHOM_EMU_SEED"); !seed.empty()) {
    config.seed = static_cast<std::uint32_t>(std::stoul(seed));
  }
  if (const std::string n = value("FATHOM_EMU_THREADS"); !n.empty()) config.os_threads = std::stoi(n);
  config.early_copies = value("FATHOM_EMU_COPIES") == "early";
  if (const std::string n = value("FATHOM_EMU_MULTIPROCESSORS"); !n.empty()) config.multiprocessors = std::stoi(n);
  if (const std::string n = value("FATHOM_EMU_CAPABILITY"); !n.empty()) {
    config.capability = std::stoi(n);
    config.shared_limit = shared_limit_of(config.capability);
  }
  return config;
}

// Launches may come from several host threads at once; each takes the workers it needs and brings them back.
std::mutex pool_mutex;
std::vector<std::unique_ptr<Worker>> idle_workers;
Statistics total{};
std::map<std::tuple<std::string, int, std::string>, SharedTraffic> total_traffic;

std::unique_ptr<Worker> borrow_worker() {
  const std::lock_guard lock(pool_mutex);
  if (idle_workers.empty()) return std::make_unique<Worker>();
  std::unique_ptr<Worker> worker = std::move(idle_workers.back());
  idle_workers.pop_back();
  return worker;
}

void return_worker(std::unique_ptr<Worker> worker) {
  const std::lock_guard lock(pool_mutex);
  const Statistics more = worker->take_statistics();
  total.switches += more.switches;
  total.collectives += more.collectives;
  total.blocks += more.blocks;
  for (const SharedTraffic& more_traffic : worker->take_traffic()) {
    SharedTraffic& line = total_traffic[{more_traffic.file, more_traffic.line, more_traffic.op}];
    const std::uint64_t turns = line.turns, least = line.least_turns;
    line = more_traffic, line.turns += turns, line.least_turns += least;
  }
  idle_workers.push_back(std::move(worker));
}

// The k-th block to run. Shuffled: an affine walk, which visits each block once when the step shares no factor.
class BlockOrder {
 public:
  BlockOrder(std::size_t blocks, const Config& config) : blocks_(blocks), order_(config.order) {
    if (order_ != Order::shuffle || blocks < 2) return;
    start_ = config.seed * 2654435761ull % blocks;
    step_ = (config.seed * 40503ull + 1) % blocks;
    while (step_ == 0 || std::gcd(step_, blocks) != 1) step_ = (step_ + 1) % blocks;
  }
  std::size_t operator()(std::size_t k) const {
    return order_ == Order::reverse ? blocks_ - 1 - k : (start_ + k * step_) % blocks_;
  }

 private:
  std::size_t blocks_, start_ = 0, step_ = 1;
  Order order_;
};

std::uintptr_t fence_address;

}  // namespace

Config& config() {
  static Config current_config = config_from_environment();
  return current_config;
}

Statistics statistics() {
  const std::lock_guard lock(pool_mutex);
  return total;
}

std::vector<SharedTraffic> shared_traffic() {
  const std::lock_guard lock(pool_mutex);
  std::vector<SharedTraffic> list;
  for (auto& [key, traffic] : std::exchange(total_traffic, {})) list.push_back(traffic);
  return list;
}

void run_grid(const BlockShape& shape) {
  const dim3 grid = shape.grid;
  const std::size_t blocks = std::size_t{grid.x} * grid.y * grid.z;
  const BlockOrder order(blocks, config());
  const std::size_t workers = std::clamp<std::size_t>(static_cast<std::size_t>(config().os_threads), 1, blocks);
  std::atomic<bool> stop{false};
  std::exception_ptr first_error;
  std::mutex error_mutex;
  const auto work = [&](std::size_t index, Worker& worker) {
    try {
      worker.begin_grid();
      // Dealt by number and not by who is free: a run can be repeated, and a race between two blocks is not hidden by
      // one worker having done them all before the other woke up.
      for (std::size_t k = index; k < blocks && !stop.load(std::memory_order_relaxed); k += workers) {
        const std::size_t b = order(k);
        worker.run_block(shape, {static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                                 static_cast<unsigned>(b / grid.x / grid.y)});
      }
    } catch (...) {
      const std::lock_guard lock(error_mutex);
      if (!first_error) first_error = std::current_exception();
      stop = true;
    }
  };
  std::vector<std::unique_ptr<Worker>> crew;
  for (std::size_t i = 0; i < workers; ++i) crew.push_back(borrow_worker());
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < workers; ++i) others.emplace_back(work, i, std::ref(*crew[i]));
  work(0, *crew[0]);
  for (std::thread& thread : others) thread.join();
  for (auto& worker : crew) return_worker(std::move(worker));
  if (first_error) std::rethrow_exception(first_error);
}

cudaError_t launch(const LaunchRequest& request) {
  const dim3 grid = request.grid, block = request.block;
  const std::size_t threads = std::size_t{block.x} * block.y * block.z;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7FFFFFFFu || grid.y > 65535 || grid.z > 65535 ||
      threads == 0 || threads > 1024 || block.z > 64) {
    return remember(cudaErrorInvalidConfiguration);
  }
  if (request.dynamic_bytes > dynamic_limit(request.call.function)) return remember(cudaErrorInvalidValue);
  if (capturing(request.stream)) {
    const std::lock_guard lock(pool_mutex);
    ++total.captured;
    return capture_kernel(request);
  }
  if (joins_default_stream(request.stream)) settle_default_stream();
  note_work(number_of(request.stream));
  if (faults_now()) return cudaSuccess;
  run_grid({grid, block, request.dynamic_bytes, request.call});
  return cudaSuccess;
}

// One address for every fence of the process: orders more than CUDA promises, so that a race between two fenced
// accesses can be missed, but none is invented.
void fence() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  acquire(&fence_address);
  release(&fence_address);
}

}  // namespace fathom::emu
