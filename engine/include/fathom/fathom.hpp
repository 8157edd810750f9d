// Fathom: one photograph in, a depth map out.
//
//   auto engine  = fathom::Engine::load("hr_depth.safetensors");   // immutable; share it between threads
//   auto session = engine.session();                               // one per thread
//   fathom::DepthMap depth = session.depth(photo);                 // any size in, same size out
//
// Everything throws fathom::Error: one sentence, and a kind to decide by.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fathom/depth_map.hpp"
#include "fathom/device.hpp"
#include "fathom/error.hpp"
#include "fathom/frame.hpp"
#include "fathom/image.hpp"

namespace fathom {

struct EngineOptions {
  Device device = Device::automatic;
  Precision precision = Precision::fp32;
  int threads = 0;   // of the CPU; 0: as many as there are cores
  bool fuse = true;  // false: every layer on its own, for measuring what fusing gains
  bool low_products = true;  // convolutions of enlarged maps by products at the small size, where that is less work
  int input_width = 0, input_height = 0;  // instead of the size the model was trained at; 0: the model's
  std::int64_t budget_bytes = std::int64_t(8) << 30;  // files and plans that need more are refused
  // A file: convolutions are timed on the GPU when a frame is first prepared (seconds), the fastest kernels chosen, and the
  // choices kept there for later loads. Results may differ from those of other choices by rounding. Empty: by a cost model.
  std::string tuning;
  // For finding faults: waits for the device after each layer, so that an error names the layer it happened in.
  bool wait_each_layer = false;
  // Only plans: memory() and steps() tell what the device would do, and nothing can run. Needs no GPU: where there is
  // none, an H200 is assumed.
  bool plan_only = false;
};

// One input or output of a network at some frame. In memory inputs are (N, H, W, C), u8 for photographs, and outputs
// float32 (N, C, H, W).
struct TensorInfo {
  std::string name;
  std::string kind;   // inputs: "u8" or "f32"; outputs: "disparity", "depth", "segmentation", "tensor"
  std::int64_t shape[4];  // n, c, h, w
};

struct MemoryReport {
  std::int64_t weight_bytes = 0;       // packed for the device, shared by all sessions
  std::int64_t arena_bytes = 0;        // activations and workspace of one session, one run
  std::int64_t lower_bound_bytes = 0;  // the most that is alive at once: no plan can be smaller
  std::int64_t sum_bytes = 0;          // of all activations, had none been reused
  std::int64_t workspace_bytes = 0;    // the largest of one step
  bool optimal = false;                // no plan is smaller than arena_bytes: it meets the bound, or a search proved it
  std::int64_t order_gain_bytes = 0;   // by how much choosing the order of layers lowered the bound, workspaces apart
  std::int64_t device_free_bytes = -1;  // by the GPU's own count; -1: not known
  std::int64_t device_cache_bytes = 0;  // of the GPU's L2; 0: not known
};

// One layer or fused group of layers, as it runs.
struct StepInfo {
  std::string name, op, kernel;
  std::vector<std::string> refused;  // faster kernels that did not fit, and why
  std::string shape;                 // of the output
  double flops = 0, bytes = 0;
  int launches = 1;                  // kernels
  std::string alone;                 // of an op that moves or scales elements: why no convolution took it on
};

struct NamedOutput {
  std::string name;
  float* data;  // room for the whole output, float32 (N, C, H, W)
};

class Engine;

// Activations and addresses of one stream of work. Not for two threads at once; N sessions in N threads give the same
// bits. The first run at a frame plans it; later ones allocate nothing.
class Session {
 public:
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  // Depth at the photograph's own size. Stereo networks take the right photograph too.
  DepthMap depth(const ImageView& photo);
  DepthMap depth(const ImageView& photo, const ImageView& right);

  // The bare network: inputs in the order of Engine::inputs (u8 (N, H, W, 3), already at the network's size), outputs by
  // name. Pointers of the engine's device. On a GPU it enqueues on `stream` (cudaStream_t) and returns.
  // Outputs there must be aligned to 16 bytes. From the second run on the launches are one CUDA graph; other pointers than
  // before, as of a camera's many buffers, change a few of its nodes. Where `stream` is being captured, the launches become
  // part of the caller's own graph, which can be launched for as long as this session is there. A null stream is CUDA's default stream.
  void run(const Frame& frame, std::span<const void* const> inputs, std::span<const NamedOutput> outputs, void* stream = nullptr);
  // The same for pointers of the host, whatever the device: copies in, runs, copies out, and waits.
  void run_from_host(const Frame& frame, std::span<const void* const> inputs, std::span<const NamedOutput> outputs);
  // The device's own time of `runs` runs, one after another, each in milliseconds, without copies to and from the host;
  // three that do not count come first. Inputs as for run_from_host; on a GPU they lie there `buffers` times, and the runs
  // take turns between them: enough of them, and none is still in the cache when its turn comes.
  std::vector<double> time_ms(const Frame& frame, std::span<const void* const> inputs, const std::vector<std::string>& output_names,
                              int runs, int buffers = 1);

  // Plans a frame ahead of its first run. An empty list of names means the primary output.
  void prepare(const Frame& frame, const std::vector<std::string>& output_names = {});
  MemoryReport memory(const Frame& frame, const std::vector<std::string>& output_names = {});
  std::vector<StepInfo> steps(const Frame& frame, const std::vector<std::string>& output_names = {});

 private:
  friend class Engine;
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// A network with its weights on a device. Immutable and cheap to copy: copies share everything.
class Engine {
 public:
  static Engine load(const std::string& path, const EngineOptions& options = {});
  // An architecture with synthetic weights: the right work, meaningless depth. For tests and benchmarks.
  static Engine synthetic(const std::string& architecture, const EngineOptions& options = {});

  Session session() const;

  std::string network() const;  // "hr_depth"
  std::string device() const;   // "CPU, 2 threads"
  std::string why_not_gpu() const;  // where the device `automatic` became the CPU; else empty
  std::string warning() const;      // what of EngineOptions::tuning could not be read or written; empty: nothing
  bool has_synthetic_weights() const;
  double multiply_adds(const Frame& frame) const;  // of the network as its authors wrote it, all outputs
  Frame frame() const;          // the size photographs are brought to, batch 1
  std::vector<TensorInfo> inputs(const Frame& frame) const;
  std::vector<TensorInfo> outputs(const Frame& frame) const;  // all that the network has, the primary one first

 private:
  friend class Session;
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace fathom
