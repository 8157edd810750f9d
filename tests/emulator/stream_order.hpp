// Which work waits for which. The emulator runs work when it is enqueued, so that a missing wait between two streams
// changes no value; here it can be asked for. Each stream counts what is enqueued on it, and knows up to which count of
// the other streams its next work waits (a vector clock); the host knows what it has waited for.
#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>
#include <map>

namespace fathom::emu {

// Counts by stream number; the default stream is number 0.
using StreamClock = std::map<std::uint64_t, std::uint64_t>;

std::uint64_t new_stream(bool joins_default);

void note_work(std::uint64_t stream);        // something was enqueued there
StreamClock clock_of(std::uint64_t stream);  // all that is enqueued there now, and what it waits for
void wait_in_stream(std::uint64_t stream, const StreamClock& for_);  // an event
void wait_on_host(const StreamClock& for_);
void wait_on_host_for_all();
bool host_has_waited(const StreamClock& for_);

// What is enqueued next on `later` starts after all that is enqueued on `earlier` now.
bool waits_for(cudaStream_t later, cudaStream_t earlier);

}  // namespace fathom::emu
