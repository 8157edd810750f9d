// What benchmarks run: synthetic pictures for a network, and time taken by a clock.
#pragma once

#include <algorithm>
#include <chrono>
#include <ctime>
#include <string>
#include <vector>

#include "bench/rotation.hpp"
#include "fathom/fathom.hpp"

namespace fathom {

// Synthetic pictures for a network, and room for its primary output.
class Workload {
 public:
  Workload(const Engine& engine, const Frame& frame);

  const std::string& output() const { return info_.name; }
  void run(Session& session);
  // Buffers for the inputs as a GPU is timed with them.
  Rotation rotation(Session& session) const;
  // Milliseconds by the device's own clock, without copies; the inputs in so many buffers.
  std::vector<double> time_ms(Session& session, int runs, int buffers) {
    return session.time_ms(frame_, in_, {info_.name}, runs, buffers);
  }

 private:
  Frame frame_;
  TensorInfo info_;
  std::vector<std::vector<std::uint8_t>> pictures_;
  std::vector<const void*> in_;
  std::vector<float> out_;
};

// Of a Workload: the caller's side of a run.
std::int64_t workload_bytes(const Engine& engine, const Frame& frame);

// Weights, arena and the caller's pictures and output of the largest batch that fits into the limit; 0: none does.
int largest_batch_of(const Engine& engine, std::int64_t limit_bytes);

struct Timing {
  double median_ms = 0, p10_ms = 0, p90_ms = 0;
  int runs = 0;
  double cpu_ms = 0;            // of all threads of this process, per run; 0 where a device's own clock was read
  std::string inputs = "warm";  // in which caches they are: a CPU reads the same ones in every run
};

Timing timing_of(std::vector<double> ms);

// At least `seconds` and five runs, after two that do not count; runs of over two seconds: three, after one.
template <class Work>
Timing time_runs(double seconds, Work&& work) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point first = Clock::now();
  work();
  const bool slow = Clock::now() - first > std::chrono::seconds(2);
  if (!slow) work();
  std::vector<double> ms;
  const std::clock_t cpu_start = std::clock();
  const Clock::time_point start = Clock::now();
  while (ms.size() < (slow ? 3 : 5) || std::chrono::duration<double>(Clock::now() - start).count() < seconds) {
    const Clock::time_point before = Clock::now();
    work();
    ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - before).count());
  }
  const double cpu_ms = 1e3 * static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC;
  Timing timing = timing_of(std::move(ms));
  timing.cpu_ms = cpu_ms / timing.runs;
  return timing;
}

// The same on a GPU: events round each replay of a recorded graph. Nothing is copied from or to the host; the inputs
// lie there in so many buffers that its L2 cache holds none when its turn comes, or in one (`warm`).
Timing time_on_device(double seconds, Workload& work, Session& session, bool warm);

// "cpu", "cuda" or "reference": what the engine says it runs on, whatever was asked for.
std::string device_of(const Engine& engine);
// A network's own time, by the clock that suits its device. `warm`: a GPU reads the same inputs in every run.
Timing time_network(double seconds, Workload& work, Session& session, const Engine& engine, bool warm = false);

}  // namespace fathom
