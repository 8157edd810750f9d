// The CUDA execution model on the CPU, for tests: every CUDA thread is a fiber, a block runs on one OS thread.
// This is what a test sees: how to choose the order of threads, and the errors a wrong kernel ends in.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/cuda/site.cuh"

namespace fathom::emu {

using gpu::Site;

// The order in which the threads of a block run between two barriers, and the blocks of a grid one after another.
enum class Order { in_order, reverse, shuffle };

struct Config {
  Order order = Order::shuffle;
  std::uint32_t seed = 1;
  int os_threads = 1;         // workers that blocks are dealt to, block k to worker k % os_threads
  bool early_copies = false;  // cp.async copies when issued; otherwise at its wait, the destination poisoned until then
  std::size_t shared_limit = 227 * 1024;             // bytes per block; lower it to play a smaller GPU
  std::size_t device_memory = std::size_t{8} << 30;  // cudaMalloc refuses what passes this sum
  bool count_banks = false;                          // for shared_traffic()
  int multiprocessors = 4;                           // what the device says it has
  int capability = 90;                               // 75: 7.5. It offers what sm_80 has all the same
};

// What launches use from now on. Starts from the environment, so that one test program serves a whole matrix of runs:
// FATHOM_EMU_ORDER=in_order|reverse|shuffle, FATHOM_EMU_SEED=n, FATHOM_EMU_THREADS=n, FATHOM_EMU_COPIES=late|early,
// FATHOM_EMU_MULTIPROCESSORS=n, FATHOM_EMU_CAPABILITY=75|80|86|89|90 (with that GPU's shared memory).
Config& config();

// Changes the configuration until the end of a scope.
class ScopedConfig {
 public:
  explicit ScopedConfig(const Config& wanted) : before_(config()) { config() = wanted; }
  ~ScopedConfig() { config() = before_; }
  ScopedConfig(const ScopedConfig&) = delete;
  ScopedConfig& operator=(const ScopedConfig&) = delete;

 private:
  Config before_;
};

enum class ErrorKind {
  deadlock,              // no thread can run, some wait
  divergent_barrier,     // threads of a block at different barriers, or some have exited
  divergent_warp,        // lanes of a mask at different warp operations, or some have exited
  misaligned,            // an address that the instruction cannot take
  shared_out_of_bounds,  // an access past a shared array, seen at the access or by its redzone
  shared_exhausted,      // more shared memory than the block may have
  unsupported            // something the emulator does not do
};

// Thrown by the launch that ran the faulty kernel. The next launch starts afresh.
struct Error : std::runtime_error {
  Error(ErrorKind kind, std::string op, Site site, std::string where, const std::string& what);
  ErrorKind kind;
  std::string op;     // "__syncthreads", "mma.m16n8k16", ...; empty where no operation is to blame
  Site site;          // the kernel's line; file is empty where no line is to blame
  std::string where;  // "block (0,0,0) thread (5,0,0)"
};

struct Statistics {
  std::uint64_t switches, collectives, blocks;
  std::uint64_t captured;  // kernels noted down as nodes of graphs
};
Statistics statistics();  // sums over all launches of this process

// What the warps of the launches since the last call took of shared memory at each line, as far as it is accessed by
// ldmatrix, cp.async and vectors. In a turn each bank gives or takes one word.
struct SharedTraffic {
  std::string op, file;
  int line = 0;
  std::uint64_t turns = 0, least_turns = 0;  // the least: as many, if no bank were met twice
};
std::vector<SharedTraffic> shared_traffic();

}  // namespace fathom::emu
