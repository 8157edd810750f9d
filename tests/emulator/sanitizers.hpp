// What the emulator tells the sanitizers about its fibers and its shared memory. All of it is empty without them.
// ThreadSanitizer serves as a race checker: fibers are switched without a happens-before edge, and only what orders
// threads in CUDA (barriers, __syncwarp, fences, start and end of a grid) draws one. The emulator itself is compiled
// without -fsanitize=thread (its scheduling is no business of the kernel's) but with FATHOM_EMU_TSAN defined.
#pragma once
#include <cstddef>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FATHOM_EMU_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define FATHOM_EMU_ASAN 1
#endif

#if defined(FATHOM_EMU_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(FATHOM_EMU_TSAN)
extern "C" {
void* __tsan_create_fiber(unsigned flags);
void* __tsan_get_current_fiber();
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void __tsan_read_range(void* address, unsigned long bytes);
void __tsan_write_range(void* address, unsigned long bytes);
}
#endif

namespace fathom::emu {

#if defined(FATHOM_EMU_ASAN)
inline constexpr bool kAddressSanitizer = true;
inline void asan_poison(void* p, std::size_t bytes) { __asan_poison_memory_region(p, bytes); }
inline void asan_unpoison(void* p, std::size_t bytes) { __asan_unpoison_memory_region(p, bytes); }
#else
inline constexpr bool kAddressSanitizer = false;
inline void asan_poison(void*, std::size_t) {}
inline void asan_unpoison(void*, std::size_t) {}
#endif

#if defined(FATHOM_EMU_TSAN)
inline constexpr bool kThreadSanitizer = true;
inline void* tsan_create_fiber() { return __tsan_create_fiber(0); }
inline void* tsan_current_fiber() { return __tsan_get_current_fiber(); }
inline void tsan_switch(void* fiber) { __tsan_switch_to_fiber(fiber, 1); }  // 1: draw no happens-before edge
inline void acquire(void* address) { __tsan_acquire(address); }
inline void release(void* address) { __tsan_release(address); }
inline void note_read(const void* p, std::size_t bytes) { __tsan_read_range(const_cast<void*>(p), bytes); }
inline void note_write(void* p, std::size_t bytes) { __tsan_write_range(p, bytes); }
#else
inline constexpr bool kThreadSanitizer = false;
inline void* tsan_create_fiber() { return nullptr; }
inline void* tsan_current_fiber() { return nullptr; }
inline void tsan_switch(void*) {}
inline void acquire(void*) {}
inline void release(void*) {}
inline void note_read(const void*, std::size_t) {}
inline void note_write(void*, std::size_t) {}
#endif

}  // namespace fathom::emu
