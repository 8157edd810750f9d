#include "bench/batches.hpp"

#include <algorithm>
#include <fstream>

#include "fathom/error.hpp"

namespace fathom {

std::vector<int> parse_batches(const std::string& text) {
  std::vector<int> batches;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t used = 0;
    int batch = 0;
    if (text.compare(at, 3, "max") == 0) {
      batch = largest_that_fits, used = 3;
    } else {
      try {
        batch = std::stoi(text.substr(at), &used);
      } catch (const std::exception&) {
        used = 0;
      }
      if (batch < 1 || batch > most_images) break;
    }
    at += used;
    if (!used || (at < text.size() && text[at] != ',')) break;
    batches.push_back(batch);
    if (at++ == text.size()) return batches;
  }
  throw Error(ErrorKind::usage, "--batch is a list of whole numbers, as in 1,2,4 or 1,8,max, not '" + text + "'");
}

int largest_batch(std::int64_t limit_bytes, const std::function<std::int64_t(int)>& bytes_of) {
  std::int64_t low_bytes = bytes_of(1);
  if (low_bytes > limit_bytes) return 0;
  // `low` fits, `high` does not. The next one to ask about is where a straight line through what is known meets the
  // limit.
  int low = 1, high = most_images + 1;
  double slope = static_cast<double>(bytes_of(2) - low_bytes);
  while (low + 1 < high) {
    const double guess = low + (slope > 0 ? static_cast<double>(limit_bytes - low_bytes) / slope : high);
    const int batch = static_cast<int>(std::clamp<double>(guess, low + 1, high - 1));
    const std::int64_t bytes = bytes_of(batch);
    slope = static_cast<double>(bytes - low_bytes) / (batch - low);
    if (bytes <= limit_bytes) {
      low = batch, low_bytes = bytes;
    } else {
      high = batch;
    }
  }
  return low;
}

std::int64_t free_memory_bytes() {
  std::string key;
  std::int64_t kib = 0;
  for (std::ifstream info("/proc/meminfo"); info >> key >> kib; info.ignore(64, '\n'))
    if (key == "MemAvailable:") return kib * 1024;
  throw Error(ErrorKind::unsupported, "this system does not tell how much memory is free: give --memory");
}

}  // namespace fathom
