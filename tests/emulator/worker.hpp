// One worker runs the blocks dealt to it, one after another, on one OS thread. Inside a block its fibers take turns:
// a fiber runs until it waits for others (barrier, warp operation) or ends, and then switches straight to the next
// one in the run queue, in the order that the configuration asks for.
#pragma once
#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "tests/emulator/async_copies.hpp"
#include "tests/emulator/banks.hpp"
#include "tests/emulator/device_side.hpp"
#include "tests/emulator/emu.hpp"
#include "tests/emulator/fiber.hpp"
#include "tests/emulator/run_queue.hpp"
#include "tests/emulator/shared_arena.hpp"

namespace fathom::emu {

struct Warp;

// What a thread waits in, or has last waited in.
struct Wait {
  const char* op = nullptr;
  Site site{};
  unsigned mask = 0;                // the lanes that take part; 0 for a barrier of the block
  WarpFunction function = nullptr;  // done once for the whole mask, by the lane that arrives last
  void* operands = nullptr;
};

// Ends the launch: throws Error, which unwinds the thread that calls it. The others are abandoned where they stand.
[[noreturn]] void fail(ErrorKind kind, const std::string& op, Site site, const std::string& what);

std::string name_of(const Wait& wait);  // "__syncwarp at file.cu:12"

struct ThreadState : ThreadView {
  unsigned lane = 0;
  Warp* warp = nullptr;
  Fiber* fiber = nullptr;
  Wait wait;
  bool exited = false;
  AsyncCopies copies;
};

struct Warp {
  unsigned present = 0, waiting = 0, exited = 0;  // lanes, as bits
  ThreadState* lanes[32] = {};

  // For the race checker, addresses that a __syncwarp over this mask orders its lanes by. Two take turns: with one, a
  // quick lane's next release would order, and so hide, what a slow lane has yet to do.
  struct Sync {
    unsigned mask = 0;
    unsigned reached[32] = {};  // how many of them each lane has come to
    char order[2] = {};
  };
  Sync syncs[4];
  Sync& sync_over(unsigned mask);
};

struct BlockShape {
  dim3 grid, block;
  std::size_t dynamic_bytes = 0;
  KernelCall call;
};

class Worker {
 public:
  Worker();
  void begin_grid();  // on the OS thread that will run the blocks
  void run_block(const BlockShape& shape, uint3 block_index);

  // From here on: called by the fiber that is running.
  int barrier(BarrierKind kind, bool predicate, Site site);
  void warp_operation(const Wait& wait, bool yield_after);
  void syncwarp(unsigned mask, Site site);
  void need_full_warp(const char* op, Site site);
  void need_address(const char* op, Site site, const void* p, std::size_t bytes, std::size_t align);
  void count_banks(const char* op, Site site, const void* p, std::size_t bytes);  // where it is in shared memory

  static Worker& here();  // the worker of this OS thread
  SharedArena& shared() { return shared_; }
  const Config& config() const { return config_; }
  Statistics take_statistics();
  std::vector<SharedTraffic> take_traffic() { return banks_.take(); }

 private:
  static void fiber_entry();
  void run_fresh_threads(Fiber* fiber);
  void seat_threads(const BlockShape& shape, uint3 block_index);
  void finish_block();
  [[noreturn]] void abandon_block();
  void wait_for_turn(ThreadState& me);
  void open_barrier(const ThreadState& last);
  std::string whereabouts() const;

  Config config_;
  FiberPool fibers_;
  Fiber main_;  // the OS thread's own stack
  SharedArena shared_;
  std::vector<ThreadState> threads_;
  std::vector<Warp> warps_;
  RunQueue queue_;
  Banks banks_;
  std::vector<ThreadState*> group_;  // scratch: whom to wake
  KernelCall call_;
  bool entered_from_main_ = false;
  std::size_t living_ = 0, at_barrier_ = 0;

  struct Votes {
    int all = 1, any = 0, count = 0;
  };
  Votes votes_[2];
  int verdict_[2][3] = {};
  unsigned parity_ = 0;  // of the barrier that is filling

  char order_start_ = 0, order_end_ = 0, order_barrier_[2] = {};  // addresses for the race checker
  std::exception_ptr exception_;  // what a thread of the block threw: fail() or the kernel itself
  Statistics statistics_{};
};

}  // namespace fathom::emu
