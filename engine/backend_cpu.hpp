// The fast CPU backend: how many threads, and the packed weights that all programs of an engine share.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace fathom {

class CpuBackend {
 public:
  explicit CpuBackend(int threads);  // 0: as many as the machine has cores

  int threads() const { return threads_; }

  // Whatever a kernel keeps of a constant (weights in the kernel's own layout), made once per key and shared. The key is
  // the constant's name and what was done to it. Thread-safe. bytes counts towards packed_bytes when it is made.
  std::shared_ptr<const void> packed(const std::string& key, std::int64_t bytes, const std::function<std::shared_ptr<const void>()>& make);
  std::int64_t packed_bytes() const;

 private:
  int threads_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const void>> packed_;
  std::int64_t packed_bytes_ = 0;
};

}  // namespace fathom
