// A session's stream, and the CUDA graphs that its programs are repeated by.
#include <algorithm>
#include <list>

#include "engine/cuda/cuda.hpp"
#include "kernels/cuda/launch.cuh"

namespace fathom {

namespace {

using gpu::check;

struct DestroyStream {
  void operator()(cudaStream_t s) const { (void)cudaStreamDestroy(s); }
};
struct DestroyEvent {
  void operator()(cudaEvent_t e) const { (void)cudaEventDestroy(e); }
};
struct DestroyGraph {
  void operator()(cudaGraph_t g) const { (void)cudaGraphDestroy(g); }
};
struct DestroyExec {
  void operator()(cudaGraphExec_t g) const { (void)cudaGraphExecDestroy(g); }
};
template <class Handle, class Destroy>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Destroy>;
using Stream = Owned<cudaStream_t, DestroyStream>;
using Event = Owned<cudaEvent_t, DestroyEvent>;
using CapturedGraph = Owned<cudaGraph_t, DestroyGraph>;
using ExecutableGraph = Owned<cudaGraphExec_t, DestroyExec>;

Event make_event(unsigned flags) {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, flags));
  return Event(event);
}

class CudaQueue final : public Queue {
 public:
  explicit CudaQueue(int device) : device_(device) {
    const OnDevice here(device_);
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    stream_.reset(stream);
    done_ = make_event(cudaEventDisableTiming);
  }

  int device() const { return device_; }
  void* stream() const override { return stream_.get(); }

  void upload(void* to, const void* from, std::int64_t bytes) override {
    const OnDevice here(device_);
    enter(stream_.get());
    check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyHostToDevice, stream_.get()));
    leave(stream_.get());
  }
  void download(void* to, const void* from, std::int64_t bytes) override {
    const OnDevice here(device_);
    enter(stream_.get());
    check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDeviceToHost, stream_.get()));
    leave(stream_.get());
  }
  void wait(void* stream) override {
    const OnDevice here(device_);
    check(cudaStreamSynchronize(static_cast<cudaStream_t>(stream)));
  }

  std::vector<double> time_ms(int runs, const std::function<void()>& enqueue) override {
    const OnDevice here(device_);
    std::vector<Event> events;
    for (int k = 0; k <= runs; ++k) events.push_back(make_event(cudaEventDefault));
    check(cudaEventRecord(events[0].get(), stream_.get()));
    for (int k = 0; k < runs; ++k) {
      enqueue();
      check(cudaEventRecord(events[static_cast<std::size_t>(k) + 1].get(), stream_.get()));
    }
    wait(stream_.get());
    std::vector<double> times;
    for (std::size_t k = 1; k < events.size(); ++k) {
      float ms = 0;
      check(cudaEventElapsedTime(&ms, events[k - 1].get(), events[k].get()));
      times.push_back(static_cast<double>(ms));
    }
    return times;
  }

  std::unique_ptr<Recorder> recorder() override;

  // A session's memory serves one run after another, on whatever streams they were asked for: each waits for the last.
  // Of the caller's streams none is known again: handles return with new streams, and cudaStreamPerThread is as many as
  // there are threads.
  void enter(cudaStream_t stream) {
    if (used_ && !(own_last_ && stream == stream_.get())) check(cudaStreamWaitEvent(stream, done_.get(), 0));
  }
  void leave(cudaStream_t stream) {
    check(cudaEventRecord(done_.get(), stream));
    used_ = true, own_last_ = stream == stream_.get();
  }
  void settle() {
    if (used_) (void)cudaEventSynchronize(done_.get());
  }

 private:
  int device_;
  Stream stream_;
  Event done_;  // what this session enqueued last
  bool used_ = false, own_last_ = false;
};

// Where the stream's recording stands: the last node, and how many there are.
struct Recorded {
  cudaGraphNode_t last = nullptr;
  std::size_t nodes = 0;
};

Recorded recorded(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  cudaGraph_t graph = nullptr;
  const cudaGraphNode_t* last = nullptr;
  std::size_t count = 0;
#if CUDART_VERSION >= 13000
  check(cudaStreamGetCaptureInfo(stream, &status, nullptr, &graph, &last, nullptr, &count));
#else
  check(cudaStreamGetCaptureInfo_v2(stream, &status, nullptr, &graph, &last, &count));
#endif
  Recorded now{count == 1 ? last[0] : nullptr};
  if (graph) check(cudaGraphGetNodes(graph, nullptr, &now.nodes));
  return now;
}

// The first run is enqueued as it is: kernels may set themselves up. From the second on it is a graph, one for each of
// the addresses used last, so that callers who take turns between a few buffers pay nothing. Other addresses are put
// into the graph that was not used for longest: a few nodes of it, where the parts that take them are a kernel each.
class CudaRecorder final : public Recorder {
 public:
  explicit CudaRecorder(CudaQueue& queue) : queue_(queue) {}
  ~CudaRecorder() override { queue_.settle(); }  // graphs that still run must not go

  void run(const RepeatedWork& work, const std::vector<const void*>& addresses, void* where) override {
    const OnDevice here(queue_.device());
    const auto stream = static_cast<cudaStream_t>(where);
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    check(cudaStreamIsCapturing(stream, &status));
    if (status != cudaStreamCaptureStatusNone) {
      in_callers_graph_ = true;
      return enqueue_all(work, where);
    }
    cudaGraphExec_t graph = first_ ? nullptr : graph_for(work, addresses);
    queue_.enter(stream);
    if (graph)
      check(cudaGraphLaunch(graph, stream));
    else
      enqueue_all(work, where);
    first_ = false;
    queue_.leave(stream);
  }
  bool in_callers_graph() const override { return in_callers_graph_; }

 private:
  struct Recording {
    std::vector<const void*> addresses;
    CapturedGraph captured;              // what the graph was made of: its nodes are the names of the graph's
    std::vector<cudaGraphNode_t> nodes;  // by part: the one kernel of a part that is addressed, else null
    ExecutableGraph graph;
  };
  static constexpr std::size_t most = 4;

  // Moved to the front of the list.
  cudaGraphExec_t graph_for(const RepeatedWork& work, const std::vector<const void*>& addresses) {
    const auto known = std::find_if(recordings_.begin(), recordings_.end(),
                                    [&](const Recording& r) { return r.addresses == addresses; });
    if (known != recordings_.end()) {
      recordings_.splice(recordings_.begin(), recordings_, known);
      return recordings_.front().graph.get();
    }
    Recording recording;
    if (recordings_.size() == most) recording = std::move(recordings_.back()), recordings_.pop_back();
    recording.addresses = addresses;
    try {
      if (!recording.graph || !change_nodes(recording, work)) record(recording, work);
    } catch (...) {
      queue_.settle();  // its graph may still run, and goes
      throw;
    }
    recordings_.push_front(std::move(recording));
    return recordings_.front().graph.get();
  }

  // All of the work, into the recording's graph or a new one.
  void record(Recording& recording, const RepeatedWork& work) {
    const auto stream = static_cast<cudaStream_t>(queue_.stream());
    std::vector<cudaGraphNode_t> nodes(work.addressed.size());
    CapturedGraph captured = capture([&] {
      for (std::size_t part = 0; part < nodes.size(); ++part) {
        if (!work.addressed[part]) {
          work.enqueue(static_cast<int>(part), stream);
          continue;
        }
        const std::size_t before = recorded(stream).nodes;
        work.enqueue(static_cast<int>(part), stream);
        if (const Recorded now = recorded(stream); now.nodes == before + 1) nodes[part] = now.last;
      }
    });
    if (recording.graph && update(recording.graph.get(), captured.get())) return;
    recording.graph = instantiate(captured.get());
    recording.captured = std::move(captured), recording.nodes = std::move(nodes);
  }

  // Only the parts that take addresses are enqueued again, each into the node that it was. False: record all of it.
  bool change_nodes(Recording& recording, const RepeatedWork& work) {
    for (std::size_t part = 0; part < work.addressed.size(); ++part)
      if (work.addressed[part] && !recording.nodes[part]) return false;
    for (std::size_t part = 0; part < work.addressed.size(); ++part) {
      if (!work.addressed[part]) continue;
      const CapturedGraph alone = capture([&] { work.enqueue(static_cast<int>(part), queue_.stream()); });
      cudaGraphNode_t nodes[2] = {};
      std::size_t count = 2;  // as many as there is room for
      cudaKernelNodeParams kernel{};
      const bool same =
          cudaGraphGetNodes(alone.get(), nodes, &count) == cudaSuccess && count == 1 &&
          cudaGraphKernelNodeGetParams(nodes[0], &kernel) == cudaSuccess &&
          cudaGraphExecKernelNodeSetParams(recording.graph.get(), recording.nodes[part], &kernel) == cudaSuccess;
      if (same) continue;
      (void)cudaGetLastError();  // another kernel, or none of the runtime's
      recording.nodes[part] = nullptr;  // it will be no other the next time
      return false;
    }
    return true;
  }

  CapturedGraph capture(const std::function<void()>& enqueue) {
    const auto stream = static_cast<cudaStream_t>(queue_.stream());
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    cudaGraph_t graph = nullptr;
    try {
      enqueue();
    } catch (...) {  // back to a stream that can be used
      if (cudaStreamEndCapture(stream, &graph) == cudaSuccess) (void)cudaGraphDestroy(graph);
      (void)cudaGetLastError();
      throw;
    }
    check(cudaStreamEndCapture(stream, &graph));
    return CapturedGraph(graph);
  }

  bool update(cudaGraphExec_t executable, cudaGraph_t captured) {
    cudaGraphExecUpdateResultInfo result{};
    if (cudaGraphExecUpdate(executable, captured, &result) == cudaSuccess) return true;
    (void)cudaGetLastError();
    queue_.settle();  // it is replaced
    return false;
  }

  ExecutableGraph instantiate(cudaGraph_t captured) {
    cudaGraphExec_t graph = nullptr;
    check(cudaGraphInstantiate(&graph, captured, 0));
    return ExecutableGraph(graph);
  }

  CudaQueue& queue_;
  bool first_ = true, in_callers_graph_ = false;
  std::list<Recording> recordings_;  // the one used last first
};

std::unique_ptr<Recorder> CudaQueue::recorder() { return std::make_unique<CudaRecorder>(*this); }

}  // namespace

std::unique_ptr<Queue> make_cuda_queue(int device) { return std::make_unique<CudaQueue>(device); }

}  // namespace fathom
