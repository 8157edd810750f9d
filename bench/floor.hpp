// The least time that a device could take: each step's bytes moved once, or its arithmetic, whichever takes longer.
#pragma once

#include <span>
#include <string>

#include "fathom/fathom.hpp"

namespace fathom {

struct DeviceRates {
  double bytes_per_s = 0, flops_per_s = 0;  // 0: not known
};

// What is known of a device by its name; nothing of CPUs, whose memory and clocks differ from machine to machine.
DeviceRates known_rates(const std::string& device, const std::string& precision);

// The sum over the steps; 0 where a rate is not known.
double floor_ms(std::span<const StepInfo> steps, const DeviceRates& rates);

}  // namespace fathom
