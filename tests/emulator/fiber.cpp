#include "tests/emulator/fiber.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#include "tests/emulator/sanitizers.hpp"

#if !defined(FATHOM_EMU_UCONTEXT)
// void fathom_emu_switch(void** save, void* to): the callee-saved registers of the System V ABI go on the old stack,
// come from the new one, and the return address found there is where the other fiber stopped. swapcontext does the
// same and two system calls besides, which makes it many times slower.
extern "C" void fathom_emu_switch(void** save, void* to);
asm(R"(
.text
.globl fathom_emu_switch
.hidden fathom_emu_switch
.type fathom_emu_switch,@function
fathom_emu_switch:
  .cfi_startproc
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .cfi_endproc
.size fathom_emu_switch,.-fathom_emu_switch
)");
#endif

namespace fathom::emu {
namespace {

constexpr std::size_t kStackBytes = 128 * 1024;
// Stacks a power of two apart would compete for the same cache sets; the odd stride spreads their tops.
constexpr std::size_t kStride = kStackBytes + 1088;
constexpr std::size_t kSlab = 64 * kStride;

void prepare(Fiber& fiber, void (*entry)()) {
  asan_unpoison(fiber.stack_low, fiber.stack_bytes);  // frames that were abandoned leave their redzones behind
#if defined(FATHOM_EMU_UCONTEXT)
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack_low;
  fiber.context.uc_stack.ss_size = fiber.stack_bytes;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, entry, 0);
#else
  auto top = (reinterpret_cast<std::uintptr_t>(fiber.stack_low) + fiber.stack_bytes) & ~std::uintptr_t{15};
  auto* slot = reinterpret_cast<void**>(top);
  *--slot = nullptr;                         // no caller; the ABI wants rsp = 8 mod 16 on entry, as after a call
  *--slot = reinterpret_cast<void*>(entry);  // what `ret` jumps to
  for (int saved = 0; saved < 6; ++saved) *--slot = nullptr;
  fiber.stack_pointer = slot;
#endif
}

}  // namespace

void switch_fiber(Fiber& from, Fiber& to, [[maybe_unused]] bool from_is_done) {
  tsan_switch(to.tsan);
#if defined(FATHOM_EMU_ASAN)
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(from_is_done ? nullptr : &fake_stack, to.stack_low, to.stack_bytes);
#endif
#if defined(FATHOM_EMU_UCONTEXT)
  swapcontext(&from.context, &to.context);
#else
  fathom_emu_switch(&from.stack_pointer, to.stack_pointer);
#endif
#if defined(FATHOM_EMU_ASAN)
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
}

void arrive_in_fresh_fiber([[maybe_unused]] Fiber* came_from) {
#if defined(FATHOM_EMU_ASAN)
  const void* low = nullptr;
  std::size_t bytes = 0;
  __sanitizer_finish_switch_fiber(nullptr, &low, &bytes);
  if (came_from) {
    came_from->stack_low = static_cast<char*>(const_cast<void*>(low));
    came_from->stack_bytes = bytes;
  }
#endif
}

FiberPool::~FiberPool() {
  for (char* slab : slabs_) {
    asan_unpoison(slab, kSlab);
    munmap(slab, kSlab);
  }
}

Fiber* FiberPool::create() {
  if (slab_left_ < kStride) {
    void* slab = mmap(nullptr, kSlab, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (slab == MAP_FAILED) throw std::bad_alloc();
    slabs_.push_back(static_cast<char*>(slab));
    slab_left_ = kSlab;
  }
  auto fiber = std::make_unique<Fiber>();
  fiber->stack_low = slabs_.back() + (kSlab - slab_left_);
  fiber->stack_bytes = kStackBytes;
  fiber->tsan = tsan_create_fiber();
  slab_left_ -= kStride;
  all_.push_back(std::move(fiber));
  return all_.back().get();
}

void FiberPool::reserve(std::size_t count) {
  free_.reserve(count + all_.size());
  while (free_.size() < count) free_.push_back(create());
}

Fiber* FiberPool::take() {
  if (free_.empty()) free_.push_back(create());
  Fiber* fiber = free_.back();
  free_.pop_back();
  prepare(*fiber, entry_);
  return fiber;
}

void FiberPool::reclaim_all([[maybe_unused]] Fiber& self) {
  free_.clear();
  for (auto& fiber : all_) free_.push_back(fiber.get());
#if defined(FATHOM_EMU_TSAN)
  char order = 0;
  for (auto& fiber : all_) {
    tsan_switch(fiber->tsan);  // speaks for it: the checker does not look at stacks
    release(&order);
  }
  tsan_switch(self.tsan);
  acquire(&order);
#endif
}

}  // namespace fathom::emu
