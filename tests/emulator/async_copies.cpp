#include "tests/emulator/async_copies.hpp"

#include <cstring>

#include "tests/emulator/sanitizers.hpp"
#include "tests/emulator/worker.hpp"

namespace fathom::emu {
namespace {

void make(AsyncCopy& copy) {
  if (copy.done) return;
  auto* to = static_cast<unsigned char*>(copy.shared);
  note_write(to, static_cast<std::size_t>(copy.bytes));
  if (copy.valid_bytes > 0) note_read(copy.global, static_cast<std::size_t>(copy.valid_bytes));
  for (int i = 0; i < copy.bytes; ++i) {
    to[i] = i < copy.valid_bytes ? static_cast<const unsigned char*>(copy.global)[i] : 0;
  }
  copy.done = true;
}

}  // namespace

void AsyncCopies::issue(AsyncCopy copy, bool at_once) {
  if (at_once) {
    make(copy);
  } else {
    note_write(copy.shared, static_cast<std::size_t>(copy.bytes));
    std::memset(copy.shared, 0xFF, static_cast<std::size_t>(copy.bytes));
  }
  copies_.push_back(copy);
}

void AsyncCopies::wait(std::size_t groups_left) {
  if (group_ends_.size() <= groups_left) return;
  const std::size_t groups = group_ends_.size() - groups_left;
  const std::size_t copies = group_ends_[groups - 1];
  finish_first(copies);
  group_ends_.erase(group_ends_.begin(), group_ends_.begin() + static_cast<std::ptrdiff_t>(groups));
  for (std::size_t& end : group_ends_) end -= copies;
}

void AsyncCopies::wait_all() {
  finish_first(copies_.size());
  group_ends_.clear();
}

void AsyncCopies::finish_first(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) make(copies_[i]);
  copies_.erase(copies_.begin(), copies_.begin() + static_cast<std::ptrdiff_t>(count));
}

void cp_async(void* shared, const void* global, int bytes, int valid_bytes, Site site) {
  Worker& worker = Worker::here();
  const auto size = static_cast<std::size_t>(bytes);
  worker.need_address("cp.async destination", site, shared, size, size);
  worker.count_banks("cp.async", site, shared, size);
  need_aligned(global, size, "cp.async source", site);
  if (valid_bytes < 0 || valid_bytes > bytes) {
    fail(ErrorKind::unsupported, "cp.async", site, "more valid bytes than the copy has");
  }
  if (kAddressSanitizer) {  // touch the source now: at the wait, nobody would know which line asked for it
    for (int i = 0; i < valid_bytes; ++i) (void)static_cast<const volatile unsigned char*>(global)[i];
  }
  auto& me = static_cast<ThreadState&>(*current);
  me.copies.issue({shared, global, bytes, valid_bytes, false}, worker.config().early_copies);
}

void cp_async_commit() { static_cast<ThreadState*>(current)->copies.commit(); }
void cp_async_wait(int groups_left) {
  static_cast<ThreadState*>(current)->copies.wait(static_cast<std::size_t>(groups_left));
}
void cp_async_wait_all() { static_cast<ThreadState*>(current)->copies.wait_all(); }

}  // namespace fathom::emu
