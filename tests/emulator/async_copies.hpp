// The asynchronous copies (cp.async) of one thread, in the groups that it committed.
#pragma once
#include <cstddef>
#include <vector>

#include "kernels/cuda/site.cuh"

namespace fathom::emu {

struct AsyncCopy {
  void* shared;
  const void* global;
  int bytes, valid_bytes;  // the rest is filled with zeros
  bool done;
};

class AsyncCopies {
 public:
  void clear() { copies_.clear(), group_ends_.clear(); }
  void reserve(std::size_t copies) { copies_.reserve(copies), group_ends_.reserve(copies); }
  // Between issue and wait the destination's content is unspecified: it is poisoned, unless the copy is made at once.
  void issue(AsyncCopy copy, bool at_once);
  void commit() { group_ends_.push_back(copies_.size()); }
  void wait(std::size_t groups_left);
  void wait_all();

 private:
  void finish_first(std::size_t count);
  std::vector<AsyncCopy> copies_;
  std::vector<std::size_t> group_ends_;  // index past the group's last copy
};

}  // namespace fathom::emu
