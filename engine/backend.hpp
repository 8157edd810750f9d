// What a session asks of a device: which fusions it can run, what it may do with memory, a Step for each node, and a
// queue to run them in.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/passes/passes.hpp"
#include "engine/plan.hpp"
#include "engine/step.hpp"

namespace fathom {

// Work that is enqueued part by part, always the same but for the caller's addresses.
struct RepeatedWork {
  std::vector<bool> addressed;  // by part: what it enqueues depends on the caller's addresses
  std::function<void(int part, void* stream)> enqueue;
};

// Runs the same work again and again: on a GPU as a recorded graph.
class Recorder {
 public:
  virtual ~Recorder() = default;
  // What the addressed parts enqueue depends on `addresses` alone.
  virtual void run(const RepeatedWork& work, const std::vector<const void*>& addresses, void* stream) = 0;
  // Whether some of it has become part of a graph of the caller's own, which may run it again.
  virtual bool in_callers_graph() const { return false; }
};

inline void enqueue_all(const RepeatedWork& work, void* stream) {
  for (std::size_t part = 0; part < work.addressed.size(); ++part) work.enqueue(static_cast<int>(part), stream);
}

// A session's own place in its device's queue: what is asked for here is done in order, at once on the CPU.
class Queue {
 public:
  virtual ~Queue() = default;
  virtual void* stream() const = 0;  // cudaStream_t; null on the CPU
  virtual void upload(void* to, const void* from_host, std::int64_t bytes) = 0;
  virtual void download(void* to_host, const void* from, std::int64_t bytes) = 0;
  virtual void wait(void* stream) = 0;  // until what was enqueued there is done; throws Error{device}
  // How long each of so many runs took, by the device's clock; `enqueue` enqueues one on this queue's stream.
  virtual std::vector<double> time_ms(int runs, const std::function<void()>& enqueue) = 0;
  virtual std::unique_ptr<Recorder> recorder() = 0;  // must not outlive the queue
};

// Memory is given back when the last pointer to it goes, and throws Error{memory} where there is none.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;  // "CPU, 2 threads"
  virtual Fusions fusions() const = 0;
  virtual StorageRules rules() const = 0;
  // Types and padding of every value, as this device wants them; inputs and outputs stay as they are.
  virtual Graph choose_types(Graph graph) const { return graph; }
  // Packs weights, chooses a kernel, asks for workspace. Thread-safe.
  virtual Step prepare(const Op& op, const NodeIo& io) = 0;
  // The same by the device's own libraries, to measure `prepare` against, each one's likeliest kernels first; none where
  // they do not have the operation. Throws Error{unsupported} where they should be and are not.
  virtual std::vector<Step> library_steps(const Op&, const NodeIo&) { return {}; }
  virtual std::int64_t weight_bytes() const = 0;  // packed so far

  virtual bool plans_only() const { return false; }  // programs can be made and looked at, and not run
  virtual bool on_host() const { return true; }      // its memory is the host's
  virtual std::shared_ptr<std::byte> allocate(std::int64_t bytes) = 0;         // of the device, for arenas
  virtual std::shared_ptr<std::byte> allocate_zeroed(std::int64_t bytes) = 0;  // the same, all zeros
  virtual std::shared_ptr<std::byte> allocate_staging(
      std::int64_t bytes) = 0;                            // of the host, for copies to and from it
  virtual std::int64_t alignment() const { return 4; }    // of the caller's pointers to anything but photographs
  virtual std::int64_t free_bytes() const { return -1; }  // of the device, -1: not known
  virtual std::int64_t cache_bytes() const { return 0; }  // of a GPU's L2; 0: not known
  virtual std::unique_ptr<Queue> queue() = 0;
  virtual std::string warning() const { return {}; }  // of what did not work and only costs time; empty: all did
};

// A backend whose device is this processor.
class HostBackend : public Backend {
 public:
  std::shared_ptr<std::byte> allocate(std::int64_t bytes) override;
  std::shared_ptr<std::byte> allocate_zeroed(std::int64_t bytes) override;
  std::shared_ptr<std::byte> allocate_staging(std::int64_t bytes) override { return allocate(bytes); }
  std::unique_ptr<Queue> queue() override;
};

std::unique_ptr<Backend> make_reference_backend();
std::unique_ptr<Backend> make_cpu_backend(int threads);

}  // namespace fathom
