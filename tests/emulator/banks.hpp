// How a warp's accesses to shared memory meet the 32 banks of 4 bytes: of what is accessed together, words of one bank
// take turns. Threads run one after another here, so that what a warp does at once is put together afterwards: the k-th
// time that each lane comes to a line.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/emulator/emu.hpp"

namespace fathom::emu {

class Banks {
 public:
  void note(unsigned warp, unsigned lane, const void* p, std::size_t bytes, const char* op, Site site);
  void finish_block();
  std::vector<SharedTraffic> take();

 private:
  struct Line {
    std::string op, file;
    int line;
    auto operator<=>(const Line&) const = default;
  };
  struct Accesses {  // of one warp at one line
    std::size_t bytes = 0;
    std::array<std::size_t, 32> count{};                  // how many times each lane has come here
    std::vector<std::array<std::uintptr_t, 32>> address;  // by those times; 0: a lane that did not
  };
  std::map<std::pair<Line, unsigned>, Accesses> block_;
  std::map<Line, SharedTraffic> total_;
};

}  // namespace fathom::emu
