// Threads: OpenMP, as oneDNN, so that both share one pool per calling thread.
#pragma once

#include <algorithm>
#include <cstdint>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace fathom::cpu {

// Sets how many threads oneDNN uses when called from this thread, until the end of the scope.
class ThreadScope {
 public:
#ifdef _OPENMP
  explicit ThreadScope(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ~ThreadScope() { omp_set_num_threads(before_); }
#else
  explicit ThreadScope(int) {}
#endif
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_ = 1;
};

// f(index, thread) for every index below count, in contiguous ranges; thread < threads. Every index must write places
// of its own: which thread takes it must not show in the result.
template <class F>
void parallel_for(int threads, std::int64_t count, F&& f) {
#if defined(_OPENMP) && !defined(__SANITIZE_THREAD__)  // the sanitizer cannot see libgomp's barriers
  if (threads > 1 && count > 1) {
#pragma omp parallel for schedule(static) num_threads(static_cast <int>(std::min <std::int64_t>(threads, count)))
    for (std::int64_t k = 0; k < count; ++k) f(k, omp_get_thread_num());
    return;
  }
#endif
  for (std::int64_t k = 0; k < count; ++k) f(k, 0);
}

// f(begin, end) over [0, count) in blocks whose borders do not depend on the number of threads.
template <class F>
void parallel_blocks(int threads, std::int64_t count, std::int64_t block, F&& f) {
  parallel_for(threads, (count + block - 1) / block,
               [&](std::int64_t k, int) { f(k * block, std::min(count, (k + 1) * block)); });
}

}  // namespace fathom::cpu
