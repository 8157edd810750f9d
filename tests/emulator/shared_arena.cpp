#include "tests/emulator/shared_arena.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "tests/emulator/sanitizers.hpp"

namespace fathom::emu {

SharedArena::SharedArena() : base_(static_cast<unsigned char*>(std::aligned_alloc(4096, kArena))) {
  if (!base_) throw std::bad_alloc();
  arrays_.reserve(64);  // a fiber must not allocate: the race checker would take that for the kernel's doing
}

SharedArena::~SharedArena() {
  asan_unpoison(base_, kArena);
  std::free(base_);
}

void SharedArena::begin_block(std::size_t dynamic_bytes) {
  asan_unpoison(base_, kArena);
  std::memset(base_, 0xFF, dirty_);
  arrays_.clear();
  arrays_.push_back({nullptr, "dynamic shared memory", kDynamicAt, kDynamicAt + dynamic_bytes});
  used_ = kDynamicAt + dynamic_bytes;
  dirty_ = used_ + kRedzone;
  asan_poison(base_, kArena);
  asan_unpoison(dynamic(), dynamic_bytes);
}

void* SharedArena::static_variable(const void* key, std::size_t bytes, std::size_t align, const char* name) {
  for (const Array& array : arrays_) {
    if (array.key == key) return base_ + array.begin;
  }
  align = std::max<std::size_t>(align, 16);
  const std::size_t begin = (used_ + kRedzone + align - 1) / align * align;
  if (begin + bytes + kRedzone > kArena) return nullptr;
  arrays_.push_back({key, name, begin, begin + bytes});
  used_ = begin + bytes;
  dirty_ = used_ + kRedzone;
  asan_unpoison(base_ + begin, bytes);
  return base_ + begin;
}

bool SharedArena::holds(const void* p, std::size_t bytes) const {
  const auto* at = static_cast<const unsigned char*>(p);
  return std::any_of(arrays_.begin(), arrays_.end(),
                     [&](const Array& array) { return at >= base_ + array.begin && at + bytes <= base_ + array.end; });
}

std::size_t SharedArena::bytes_in_use() const {
  std::size_t sum = 0;
  for (const Array& array : arrays_) sum += array.end - array.begin;
  return sum;
}

std::string SharedArena::damage() const {
  if (kAddressSanitizer) return {};  // it reports the access itself
  const auto written = [&](std::size_t begin, std::size_t end) {
    return std::any_of(base_ + begin, base_ + end, [](unsigned char byte) { return byte != 0xFF; });
  };
  if (written(kDynamicAt - kRedzone, kDynamicAt)) return "before the start of dynamic shared memory";
  for (std::size_t i = 0; i < arrays_.size(); ++i) {
    const std::size_t next = i + 1 < arrays_.size() ? arrays_[i + 1].begin : arrays_[i].end + kRedzone;
    if (written(arrays_[i].end, next)) return std::string("past the end of ") + arrays_[i].name;
  }
  return {};
}

}  // namespace fathom::emu
