#include "tests/emulator/banks.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace fathom::emu {
namespace {

// Wider accesses are done in parts: 32 lanes of 4 bytes, 16 of 8, 8 of 16.
void add_turns(const std::array<std::uintptr_t, 32>& address, std::size_t bytes, SharedTraffic& to) {
  const std::size_t lanes = bytes <= 4 ? 32 : 128 / bytes;
  for (std::size_t first = 0; first < 32; first += lanes) {
    std::set<std::uintptr_t> words;
    for (std::size_t lane = first; lane < first + lanes; ++lane) {
      for (std::size_t i = 0; address[lane] && i < bytes; i += 4) words.insert((address[lane] + i) / 4);
    }
    std::array<std::uint64_t, 32> turns{};
    for (std::uintptr_t word : words) ++turns[word % 32];
    to.turns += *std::max_element(turns.begin(), turns.end());
    to.least_turns += (words.size() + 31) / 32;
  }
}

}  // namespace

void Banks::note(unsigned warp, unsigned lane, const void* p, std::size_t bytes, const char* op, Site site) {
  Accesses& accesses = block_[{{op, site.file ? site.file : "", site.line}, warp}];
  accesses.bytes = bytes;
  const std::size_t k = accesses.count[lane]++;
  if (k >= accesses.address.size()) accesses.address.resize(k + 1);
  accesses.address[k][lane] = reinterpret_cast<std::uintptr_t>(p);
}

void Banks::finish_block() {
  for (const auto& [key, accesses] : block_) {
    SharedTraffic& to = total_[key.first];
    for (const auto& address : accesses.address) add_turns(address, accesses.bytes, to);
  }
  block_.clear();
}

std::vector<SharedTraffic> Banks::take() {
  std::vector<SharedTraffic> list;
  for (auto& [line, traffic] : std::exchange(total_, {})) {
    traffic.op = line.op, traffic.file = line.file, traffic.line = line.line;
    list.push_back(traffic);
  }
  return list;
}

}  // namespace fathom::emu
