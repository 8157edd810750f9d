// The shared memory of the block that a worker is running. It starts out poisoned (0xFF: NaN in every float format),
// and a redzone stands before the dynamic part, after it, and after every static variable.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace fathom::emu {

class SharedArena {
 public:
  SharedArena();
  ~SharedArena();
  SharedArena(const SharedArena&) = delete;
  SharedArena& operator=(const SharedArena&) = delete;

  void begin_block(std::size_t dynamic_bytes);
  unsigned char* dynamic() const { return base_ + kDynamicAt; }

  // The variable that this declaration (its key) made in this block; made on first use. Null if the arena is full.
  void* static_variable(const void* key, std::size_t bytes, std::size_t align, const char* name);

  bool holds(const void* p, std::size_t bytes) const;  // entirely inside one array
  std::size_t bytes_in_use() const;                    // dynamic and static, without redzones
  std::string damage() const;                          // which redzone was written to; empty if none
  void forget_extent() { dirty_ = kArena; }            // after a fault anything may have been written

 private:
  struct Array {
    const void* key;  // null for the dynamic part
    const char* name;
    std::size_t begin, end;
  };
  static constexpr std::size_t kArena = 512 * 1024, kRedzone = 128, kDynamicAt = 1024;  // 1024: any swizzle's alignment

  unsigned char* base_;
  std::vector<Array> arrays_;
  std::size_t used_ = 0;        // end of the last array
  std::size_t dirty_ = kArena;  // beyond it the poison still stands from before
};

}  // namespace fathom::emu
