// A fiber: a stack and the point where its code stopped. Switching costs about as much as a function call, which is
// what makes one fiber per CUDA thread affordable.
#pragma once
#include <cstddef>
#include <memory>
#include <vector>

#if !defined(__x86_64__) && !defined(FATHOM_EMU_UCONTEXT)
#define FATHOM_EMU_UCONTEXT 1
#endif
#if defined(FATHOM_EMU_UCONTEXT)
#include <ucontext.h>
#endif

namespace fathom::emu {

struct Fiber {
#if defined(FATHOM_EMU_UCONTEXT)
  ucontext_t context{};
#else
  void* stack_pointer = nullptr;
#endif
  char* stack_low = nullptr;  // an OS thread's own stack: known only once a fiber was entered from it
  std::size_t stack_bytes = 0;
  void* tsan = nullptr;
};

// Leaves `from` where it stands and goes on in `to`. `from_is_done`: nothing will come back to `from`.
void switch_fiber(Fiber& from, Fiber& to, bool from_is_done = false);

// The first thing a fresh fiber calls. `came_from` is the OS thread's own fiber if that entered it, else null.
void arrive_in_fresh_fiber(Fiber* came_from);

// The fibers of one worker. Stacks are never returned to the system: the next block takes them over.
class FiberPool {
 public:
  explicit FiberPool(void (*entry)()) : entry_(entry) {}
  FiberPool(const FiberPool&) = delete;
  FiberPool& operator=(const FiberPool&) = delete;
  ~FiberPool();

  void reserve(std::size_t count);  // so that take() allocates nothing
  Fiber* take();                    // ready to start at entry
  void give_back(Fiber* fiber) { free_.push_back(fiber); }
  // Also the ones abandoned in the middle. What they did comes before what `self`, who calls, does from now on; they
  // can no longer tell the race checker so themselves.
  void reclaim_all(Fiber& self);

 private:
  Fiber* create();
  void (*entry_)();
  std::vector<std::unique_ptr<Fiber>> all_;
  std::vector<Fiber*> free_;
  std::vector<char*> slabs_;
  std::size_t slab_left_ = 0;
};

}  // namespace fathom::emu
