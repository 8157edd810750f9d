// A kernel that touches memory it must not, as a host program meets it: the launch itself goes well, and whatever
// waits for the device later is told, from then on.
#pragma once

namespace fathom::emu {

// The n-th kernel to run from now on (1: the next) does nothing but fault. 0: none, and forgets a fault that was met.
void fault_at_kernel(int n);

// Whether this kernel is the one; counts it.
bool faults_now();

}  // namespace fathom::emu
