// What a thread waits in: barriers of the block, operations of a warp.
#include <algorithm>
#include <cstring>
#include <map>

#include "tests/emulator/sanitizers.hpp"
#include "tests/emulator/worker.hpp"

namespace fathom::emu {
namespace {

ThreadState& running() { return static_cast<ThreadState&>(*current); }

bool same_place(const Wait& a, const Wait& b) {
  const auto same = [](const char* x, const char* y) { return x == y || (x && y && std::strcmp(x, y) == 0); };
  return a.site.line == b.site.line && same(a.op, b.op) && same(a.site.file, b.site.file);
}

}  // namespace

std::string Worker::whereabouts() const {
  std::map<std::string, int> crowd;
  for (const ThreadState& t : threads_) {
    if (t.exited)
      ++crowd["have exited"];
    else if (t.wait.op)
      ++crowd["wait in " + name_of(t.wait)];
  }
  std::string s;
  for (const auto& [place, count] : crowd) s += "\n  " + std::to_string(count) + " threads " + place;
  return s;
}

int Worker::barrier(BarrierKind kind, bool predicate, Site site) {
  static constexpr const char* kNames[] = {"__syncthreads", "__syncthreads_and", "__syncthreads_or",
                                           "__syncthreads_count"};
  ThreadState& me = running();
  const unsigned parity = parity_;
  me.wait = {kNames[static_cast<int>(kind)], site, 0, nullptr, nullptr};
  votes_[parity].all &= predicate;
  votes_[parity].any |= predicate;
  votes_[parity].count += predicate;
  release(&order_barrier_[parity]);
  if (++at_barrier_ == living_) open_barrier(me);
  wait_for_turn(me);
  acquire(&order_barrier_[parity]);
  me.wait.op = nullptr;
  return kind == BarrierKind::plain ? 0 : verdict_[parity][static_cast<int>(kind) - 1];
}

void Worker::open_barrier(const ThreadState& last) {
  const bool agreed = std::all_of(threads_.begin(), threads_.end(),
                                  [&](const ThreadState& t) { return !t.exited && same_place(t.wait, last.wait); });
  if (!agreed) {
    fail(ErrorKind::divergent_barrier, last.wait.op, last.wait.site,
         "not every thread of the block is here:" + whereabouts());
  }
  const Votes& votes = votes_[parity_];
  int* verdict = verdict_[parity_];
  verdict[0] = votes.all, verdict[1] = votes.any, verdict[2] = votes.count;
  parity_ ^= 1;
  votes_[parity_] = {};
  at_barrier_ = 0;
  group_.clear();
  for (ThreadState& t : threads_) group_.push_back(&t);
  queue_.push(group_, false);
}

void Worker::warp_operation(const Wait& wait, bool yield_after) {
  ThreadState& me = running();
  Warp& warp = *me.warp;
  const unsigned mask = wait.mask & warp.present;
  if (!(mask >> me.lane & 1)) {
    fail(ErrorKind::divergent_warp, wait.op, wait.site, "the mask leaves out the lane that executes it");
  }
  if (mask & warp.exited) fail(ErrorKind::divergent_warp, wait.op, wait.site, "the mask names a lane that has exited");
  me.wait = wait;
  warp.waiting |= 1u << me.lane;
  if ((warp.waiting & mask) == mask) {
    void* operands[32];
    group_.clear();
    for (unsigned lane = 0; lane < 32; ++lane) {
      if (!(mask >> lane & 1)) continue;
      ThreadState* other = warp.lanes[lane];
      operands[lane] = other->wait.operands;
      if (other->wait.mask != wait.mask || !same_place(other->wait, wait)) {
        fail(ErrorKind::divergent_warp, wait.op, wait.site,
             "lane " + std::to_string(lane) + " of the mask is in " + name_of(other->wait));
      }
      if (other != &me || yield_after) group_.push_back(other);
    }
    if (wait.function) wait.function(operands, mask);
    warp.waiting &= ~mask;
    ++statistics_.collectives;
    queue_.push(group_, true);
    if (yield_after) wait_for_turn(me);
  } else {
    wait_for_turn(me);
  }
  me.wait.op = nullptr;
}

Warp::Sync& Warp::sync_over(unsigned mask) {
  for (Sync& sync : syncs) {
    if (sync.mask == 0) sync.mask = mask;
    if (sync.mask == mask) return sync;
  }
  return syncs[3];  // more masks than a kernel has use for
}

void Worker::syncwarp(unsigned mask, Site site) {
  ThreadState& me = running();
  char* order = nullptr;
  if (kThreadSanitizer) {
    Warp::Sync& sync = me.warp->sync_over(mask);
    order = &sync.order[sync.reached[me.lane]++ % 2];
    release(order);
  }
  warp_operation({"__syncwarp", site, mask, nullptr, nullptr}, true);
  if (kThreadSanitizer) acquire(order);
}

void Worker::need_full_warp(const char* op, Site site) {
  if (running().warp->present != ~0u) fail(ErrorKind::divergent_warp, op, site, "the warp has fewer than 32 threads");
}

void Worker::need_address(const char* op, Site site, const void* p, std::size_t bytes, std::size_t align) {
  need_aligned(p, align, op, site);
  if (!shared_.holds(p, bytes)) {
    fail(ErrorKind::shared_out_of_bounds, op, site, "the address is not inside one shared array");
  }
}

void Worker::count_banks(const char* op, Site site, const void* p, std::size_t bytes) {
  if (!config_.count_banks || !shared_.holds(p, bytes)) return;
  const ThreadState& me = running();
  banks_.note(static_cast<unsigned>(me.warp - warps_.data()), me.lane, p, bytes, op, site);
}

int barrier(BarrierKind kind, bool predicate, Site site) { return Worker::here().barrier(kind, predicate, site); }
void syncwarp(unsigned mask, Site site) { Worker::here().syncwarp(mask, site); }
unsigned current_lane() { return running().lane; }
unsigned char* dynamic_shared() { return Worker::here().shared().dynamic(); }

void* static_shared(const void* key, std::size_t bytes, std::size_t align, const char* name, Site site) {
  Worker& worker = Worker::here();
  void* p = worker.shared().static_variable(key, bytes, align, name);
  if (!p || worker.shared().bytes_in_use() > worker.config().shared_limit) {
    fail(ErrorKind::shared_exhausted, name, site, "the block's shared memory is used up");
  }
  return p;
}

void need_aligned(const void* p, std::size_t align, const char* op, Site site) {
  if (reinterpret_cast<std::uintptr_t>(p) % align != 0)
    fail(ErrorKind::misaligned, op, site, "the address is no multiple of " + std::to_string(align));
}

void note_access(const void* p, std::size_t bytes, const char* op, Site site) {
  need_aligned(p, bytes, op, site);
  if (current) Worker::here().count_banks(op, site, p, bytes);
}

void not_emulated(const char* op, Site site) { fail(ErrorKind::unsupported, op, site, "not emulated"); }

}  // namespace fathom::emu
