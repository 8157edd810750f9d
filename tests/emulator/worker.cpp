#include "tests/emulator/worker.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "tests/emulator/sanitizers.hpp"

namespace fathom::emu {

constinit thread_local ThreadView* current = nullptr;

namespace {

constinit thread_local Worker* this_worker = nullptr;
constexpr std::size_t kMaxThreads = 1024;

ThreadState& running() { return static_cast<ThreadState&>(*current); }

std::string triple(uint3 i) {
  return "(" + std::to_string(i.x) + "," + std::to_string(i.y) + "," + std::to_string(i.z) + ")";
}
std::string name_of(const ThreadView& t) {
  return "block " + triple(t.block_index) + " thread " + triple(t.thread_index);
}

const char* file_name(const char* path) {
  const char* slash = std::strrchr(path, '/');
  return slash ? slash + 1 : path;
}

}  // namespace

std::string name_of(const Wait& wait) {
  std::string s = wait.op;
  if (wait.site.file) s += std::string(" at ") + file_name(wait.site.file) + ":" + std::to_string(wait.site.line);
  return s;
}

Error::Error(ErrorKind kind_, std::string op_, Site site_, std::string where_, const std::string& what)
    : std::runtime_error((op_.empty() ? "" : name_of(Wait{op_.c_str(), site_, 0, nullptr, nullptr}) + ": ") + what +
                         (where_.empty() ? "" : " [" + where_ + "]")),
      kind(kind_),
      op(std::move(op_)),
      site(site_),
      where(std::move(where_)) {}

void fail(ErrorKind kind, const std::string& op, Site site, const std::string& what) {
  throw Error(kind, op, site, current ? name_of(*current) : "host", what);  // shared helpers may run outside kernels
}

Worker::Worker() : fibers_(&Worker::fiber_entry) { group_.reserve(kMaxThreads); }

Worker& Worker::here() { return *this_worker; }

void Worker::begin_grid() {
  this_worker = this;
  config_ = emu::config();
  main_.tsan = tsan_current_fiber();
}

void Worker::seat_threads(const BlockShape& shape, uint3 block_index) {
  const dim3 dim = shape.block;
  const std::size_t count = std::size_t{dim.x} * dim.y * dim.z;
  if (threads_.size() != count) {
    threads_.clear();
    threads_.resize(count);
    if (kThreadSanitizer) {  // nothing may allocate while a fiber runs: the checker would see a race in it
      for (ThreadState& t : threads_) t.copies.reserve(128);
      fibers_.reserve(count);
    }
  }
  warps_.assign((count + 31) / 32, Warp{});
  group_.clear();
  for (unsigned i = 0; i < count; ++i) {
    ThreadState& t = threads_[i];
    t.thread_index = {i % dim.x, i / dim.x % dim.y, i / (dim.x * dim.y)};
    t.block_index = block_index;
    t.block_dim = dim;
    t.grid_dim = shape.grid;
    t.lane = i % 32;
    t.warp = &warps_[i / 32];
    t.warp->lanes[t.lane] = &t;
    t.warp->present |= 1u << t.lane;
    t.fiber = nullptr;
    t.wait = {};
    t.exited = false;
    t.copies.clear();
    group_.push_back(&t);
  }
  const std::uint64_t block = block_index.x + 8191ull * block_index.y + 131071ull * block_index.z;
  queue_.reset(count, config_.order, config_.seed + 1000003ull * block);
  queue_.push(group_, false);
  living_ = count;
  at_barrier_ = 0;
  votes_[0] = votes_[1] = {};
  parity_ = 0;
}

void Worker::run_block(const BlockShape& shape, uint3 block_index) {
  shared_.begin_block(shape.dynamic_bytes);
  seat_threads(shape, block_index);
  call_ = shape.call;
  exception_ = nullptr;
  ++statistics_.blocks;
  release(&order_start_);
  ThreadState* first = queue_.pop();
  first->fiber = fibers_.take();
  entered_from_main_ = true;
  current = first;
  switch_fiber(main_, *first->fiber);
  acquire(&order_end_);
  current = nullptr;
  finish_block();
  if (config_.count_banks) banks_.finish_block();
}

void Worker::fiber_entry() {
  Worker& worker = here();
  arrive_in_fresh_fiber(worker.entered_from_main_ ? &worker.main_ : nullptr);
  worker.entered_from_main_ = false;
  worker.run_fresh_threads(running().fiber);
}

void Worker::run_fresh_threads(Fiber* fiber) {
  for (;;) {
    ThreadState& me = running();
    acquire(&order_start_);
    try {
      call_.invoke(call_.function, call_.arguments);
    } catch (...) {
      exception_ = std::current_exception();
    }
    if (exception_) abandon_block();  // out here: a fiber that is left inside a handler would keep it open
    release(&order_end_);
    me.exited = true;
    me.warp->exited |= 1u << me.lane;
    --living_;
    me.fiber = nullptr;
    ThreadState* next = queue_.pop();
    // A thread that has not started yet can have this stack as it is: no switch. Not under the race checker, for
    // which a fiber is a thread.
    if (next && !next->fiber && !kThreadSanitizer) {
      next->fiber = fiber;
      current = next;
      continue;
    }
    if (next && !next->fiber) next->fiber = fibers_.take();  // before ours is given back: we still stand on it
    fibers_.give_back(fiber);
    ++statistics_.switches;
    current = next;
    switch_fiber(*fiber, next ? *next->fiber : main_, true);
  }
}

void Worker::finish_block() {
  const std::string damage = exception_ || living_ > 0 ? "" : shared_.damage();
  if (!exception_ && living_ == 0 && damage.empty()) return;

  const auto stuck = std::find_if(threads_.begin(), threads_.end(), [](const ThreadState& t) { return !t.exited; });
  const std::string crowd = whereabouts();
  fibers_.reclaim_all(main_);  // before their exception is touched: see there
  for (ThreadState& t : threads_) t.fiber = nullptr;
  shared_.forget_extent();

  if (exception_) std::rethrow_exception(std::exchange(exception_, nullptr));
  if (!damage.empty()) {
    throw Error(ErrorKind::shared_out_of_bounds, "", Site{}, "block " + triple(threads_[0].block_index),
                "shared memory was written " + damage);
  }
  const ErrorKind kind = at_barrier_ == living_                   ? ErrorKind::divergent_barrier
                         : stuck->wait.mask & stuck->warp->exited ? ErrorKind::divergent_warp
                                                                  : ErrorKind::deadlock;
  throw Error(kind, stuck->wait.op, stuck->wait.site, name_of(*stuck), "no thread can go on:" + crowd);
}

void Worker::abandon_block() {
  Fiber& mine = *running().fiber;
  current = nullptr;
  switch_fiber(mine, main_);
  std::abort();  // nobody resumes an abandoned fiber
}

void Worker::wait_for_turn(ThreadState& me) {
  ThreadState* next = queue_.pop();
  if (next == &me) return;
  if (next && !next->fiber) next->fiber = fibers_.take();
  ++statistics_.switches;
  current = next;  // null: nobody can run, and the main stack says why
  switch_fiber(*me.fiber, next ? *next->fiber : main_);
}

Statistics Worker::take_statistics() { return std::exchange(statistics_, Statistics{}); }

}  // namespace fathom::emu
