// A kernel that touches memory it must not, as a host program meets it: the launch itself goes well, and whatever
// waits for the device later is told, from then on.
#pragma once

#include <cstdint>
#include <functional>

namespace fathom::emu {

// The n-th kernel to run from now on (1: the next) does nothing but fault. 0: none, and forgets a fault that was met.
void fault_at_kernel(int n);

// Calls `call` once, while the next kernel to be captured is.
void at_captured_kernel(std::function<void()> call);

// Executable graphs that were destroyed while a launch of them may still have run.
std::uint64_t graphs_destroyed_in_flight();

// Whether this kernel is the one; counts it.
bool faults_now();

}  // namespace fathom::emu
