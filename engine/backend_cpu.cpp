#include "engine/backend_cpu.hpp"

#include <thread>

namespace fathom {

CpuBackend::CpuBackend(int threads)
    : threads_(threads > 0 ? threads : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()))) {}

std::shared_ptr<const void> CpuBackend::packed(const std::string& key, std::int64_t bytes,
                                               const std::function<std::shared_ptr<const void>()>& make) {
  const std::lock_guard lock(mutex_);
  if (const auto found = packed_.find(key); found != packed_.end()) return found->second;
  std::shared_ptr<const void> made = make();
  packed_bytes_ += bytes;
  return packed_[key] = std::move(made);
}

std::int64_t CpuBackend::packed_bytes() const {
  const std::lock_guard lock(mutex_);
  return packed_bytes_;
}

}  // namespace fathom
