#include "tests/emulator/stream_order.hpp"

#include <algorithm>
#include <mutex>

#include "tests/emulator/stream.hpp"

namespace fathom::emu {
namespace {

constexpr std::uint64_t default_stream = 0;

struct Known {
  StreamClock clock;
  bool joins_default = true;
};
std::mutex mutex;
std::uint64_t streams_made = 0;
std::map<std::uint64_t, Known> streams{{default_stream, {}}};  // destroyed ones too: their work goes on
StreamClock host;

void merge(StreamClock& into, const StreamClock& other) {
  for (const auto& [stream, count] : other) into[stream] = std::max(into[stream], count);
}

bool covers(const StreamClock& clock, const StreamClock& other) {
  return std::all_of(other.begin(), other.end(), [&](const auto& entry) {
    const auto found = clock.find(entry.first);
    return entry.second == 0 || (found != clock.end() && found->second >= entry.second);
  });
}

// What the next work of a stream waits for: the default stream and those that join it wait for one another.
StreamClock next(std::uint64_t stream) {
  StreamClock clock = streams[stream].clock;
  merge(clock, host);
  for (const auto& [number, known] : streams)
    if (stream == default_stream ? known.joins_default : streams[stream].joins_default && number == default_stream)
      merge(clock, known.clock);
  return clock;
}

}  // namespace

std::uint64_t new_stream(bool joins_default) {
  const std::lock_guard lock(mutex);
  streams[++streams_made] = {{}, joins_default};
  return streams_made;
}

void note_work(std::uint64_t stream) {
  const std::lock_guard lock(mutex);
  StreamClock clock = next(stream);
  ++clock[stream];
  streams[stream].clock = std::move(clock);
}

StreamClock clock_of(std::uint64_t stream) {
  const std::lock_guard lock(mutex);
  return streams[stream].clock;
}

void wait_in_stream(std::uint64_t stream, const StreamClock& for_) {
  const std::lock_guard lock(mutex);
  merge(streams[stream].clock, for_);
}

void wait_on_host(const StreamClock& for_) {
  const std::lock_guard lock(mutex);
  merge(host, for_);
}

void wait_on_host_for_all() {
  const std::lock_guard lock(mutex);
  for (const auto& [number, known] : streams) merge(host, known.clock);
}

bool host_has_waited(const StreamClock& for_) {
  const std::lock_guard lock(mutex);
  return covers(host, for_);
}

bool waits_for(cudaStream_t later, cudaStream_t earlier) {
  const std::uint64_t number = number_of(earlier);
  const std::lock_guard lock(mutex);
  const StreamClock& clock = streams[number].clock;
  const auto own = clock.find(number);
  return own == clock.end() || covers(next(number_of(later)), {*own});
}

}  // namespace fathom::emu
