#include "bench/floor.hpp"

#include <algorithm>

namespace fathom {

DeviceRates known_rates(const std::string& device, const std::string& precision) {
  if (device.find("H200") == std::string::npos) return {};
  // Halves and memory: what such cards reach. TF32 runs at half the rate of halves; float32 by the maker's figure.
  return {4.3e12, precision == "fp16" ? 790e12 : precision == "tf32" ? 395e12 : 67e12};
}

double floor_ms(std::span<const StepInfo> steps, const DeviceRates& rates) {
  if (!(rates.bytes_per_s > 0 && rates.flops_per_s > 0)) return 0;
  double ms = 0;
  for (const StepInfo& s : steps) ms += 1e3 * std::max(s.bytes / rates.bytes_per_s, s.flops / rates.flops_per_s);
  return ms;
}

}  // namespace fathom
