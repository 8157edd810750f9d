#include "tests/emulator/stream.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "tests/emulator/faults.hpp"
#include "tests/emulator/stream_order.hpp"
#include "tests/emulator/worker.hpp"

namespace fathom::emu {
namespace {

struct Capture {
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread;
  bool spoiled = false;
};

// Those under way forbid calls that CUDA calls unsafe: other threads' too where the mode is global.
std::mutex captures_mutex;
std::list<Capture*> captures;

void end_capture(Capture& capture) {
  const std::lock_guard lock(captures_mutex);
  captures.remove(&capture);
}

}  // namespace
}  // namespace fathom::emu

// The runtime's handles point to structs that its headers only declare; these are ours.
struct CUgraphNode_st {
  cudaGraphNodeType type;
  fathom::emu::CopyOrFill copy_or_fill{};
  // A kernel: its shape, and copies of its arguments.
  dim3 grid, block;
  std::size_t dynamic_bytes = 0;
  fathom::emu::KernelCall call;
  std::vector<std::vector<unsigned char>> arguments;
  std::vector<void*> argument_pointers;

  CUgraphNode_st(const CUgraphNode_st& other) { *this = other; }
  explicit CUgraphNode_st(cudaGraphNodeType type) : type(type) {}
  CUgraphNode_st& operator=(const CUgraphNode_st& other) {
    type = other.type, copy_or_fill = other.copy_or_fill;
    grid = other.grid, block = other.block, dynamic_bytes = other.dynamic_bytes, call = other.call;
    arguments = other.arguments;
    point_at_arguments();
    return *this;
  }
  void point_at_arguments() {
    argument_pointers.clear();
    for (auto& bytes : arguments) argument_pointers.push_back(bytes.data());
    call.arguments = argument_pointers.data();
  }
};
struct CUgraph_st {
  std::deque<CUgraphNode_st> nodes;  // in the order they were captured; a deque, since nodes are pointed at
};
struct CUgraphExec_st {
  CUgraph_st graph;
  const CUgraph_st* captured;  // whose nodes name ours in updates
  fathom::emu::StreamClock launched;
};
struct CUstream_st {
  explicit CUstream_st(bool joins_default) : blocking(joins_default), number(fathom::emu::new_stream(joins_default)) {}
  ~CUstream_st() { fathom::emu::end_capture(rules); }
  bool blocking;  // joins the default stream
  std::uint64_t number;
  std::unique_ptr<CUgraph_st> capture;
  fathom::emu::Capture rules;
};

namespace fathom::emu {
namespace {

void run(const CopyOrFill& work) {
  if (work.from)
    std::memcpy(work.to, work.from, work.bytes);
  else
    std::memset(work.to, work.value, work.bytes);
}

CUgraphNode_st& new_node(cudaStream_t stream, cudaGraphNodeType type) {
  return stream->capture->nodes.emplace_back(type);
}

CUgraphNode_st* node_of(cudaGraphExec_t exec, cudaGraphNode_t captured) {
  const auto& theirs = exec->captured->nodes;
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    if (&theirs[i] == captured) return &exec->graph.nodes[i];
  }
  return nullptr;
}

// The arguments must be those of the same kernel: their number and sizes are known from the capture only.
cudaError_t set_kernel(CUgraphNode_st* node, const cudaKernelNodeParams& p) {
  if (!node || node->type != cudaGraphNodeTypeKernel || p.func != node->call.function) return cudaErrorInvalidValue;
  node->grid = p.gridDim, node->block = p.blockDim, node->dynamic_bytes = p.sharedMemBytes;
  for (std::size_t i = 0; i < node->arguments.size(); ++i) {
    std::memmove(node->arguments[i].data(), p.kernelParams[i], node->arguments[i].size());
  }
  return cudaSuccess;
}

struct LateWork {
  CopyOrFill work;
  std::vector<unsigned char> staged;  // what the host's memory held
};
std::mutex late_mutex;
std::vector<LateWork> late_works;

}  // namespace

std::uint64_t number_of(cudaStream_t stream) { return stream ? stream->number : 0; }

bool unsafe_call() {
  const std::lock_guard lock(captures_mutex);
  bool refused = false;
  for (Capture* c : captures)
    if (c->mode == cudaStreamCaptureModeGlobal || (c->mode == cudaStreamCaptureModeThreadLocal && c->thread == std::this_thread::get_id()))
      c->spoiled = refused = true;
  return refused;
}

void fill_or_upload_late(const CopyOrFill& work) {
  note_work(0);
  const auto* from = static_cast<const unsigned char*>(work.from);
  LateWork late{work, {from, from + (from ? work.bytes : 0)}};
  const std::lock_guard lock(late_mutex);
  late_works.push_back(std::move(late));
}

void settle_default_stream() {
  const std::lock_guard lock(late_mutex);
  for (LateWork& late : late_works) {
    if (late.work.from) late.work.from = late.staged.data();
    run(late.work);
  }
  late_works.clear();
}

bool joins_default_stream(cudaStream_t stream) { return !stream || stream->blocking; }

namespace {
std::atomic<int> kernels_to_fault{0};  // counts down
std::atomic<bool> faulted{false};
std::function<void()> while_capturing;
std::atomic<std::uint64_t> graphs_lost{0};
}  // namespace

void fault_at_kernel(int n) { kernels_to_fault = n, faulted = false; }

void at_captured_kernel(std::function<void()> call) { while_capturing = std::move(call); }
std::uint64_t graphs_destroyed_in_flight() { return graphs_lost; }

bool faults_now() {
  if (kernels_to_fault > 0 && --kernels_to_fault == 0) faulted = true;
  return faulted;
}

cudaError_t met() { return faulted ? remember(cudaErrorIllegalAddress) : cudaSuccess; }

bool capturing(cudaStream_t stream) { return stream && stream->capture; }

cudaError_t capture_kernel(const LaunchRequest& request) {
  CUgraphNode_st& node = new_node(request.stream, cudaGraphNodeTypeKernel);
  node.grid = request.grid, node.block = request.block, node.dynamic_bytes = request.dynamic_bytes;
  node.call = request.call;
  for (std::size_t i = 0; request.argument_bytes[i] != 0; ++i) {
    const auto* bytes = static_cast<const unsigned char*>(request.call.arguments[i]);
    node.arguments.emplace_back(bytes, bytes + request.argument_bytes[i]);
  }
  node.point_at_arguments();
  if (while_capturing) std::exchange(while_capturing, nullptr)();
  return cudaSuccess;
}

cudaError_t enqueue(cudaStream_t stream, const CopyOrFill& work) {
  if (!capturing(stream)) {
    if (joins_default_stream(stream)) settle_default_stream();
    note_work(number_of(stream));
    run(work);
    return cudaSuccess;
  }
  new_node(stream, work.from ? cudaGraphNodeTypeMemcpy : cudaGraphNodeTypeMemset).copy_or_fill = work;
  return cudaSuccess;
}

}  // namespace fathom::emu

using fathom::emu::remember;

extern "C" {

cudaError_t CUDARTAPI cudaStreamCreate(cudaStream_t* stream) { return *stream = new CUstream_st(true), cudaSuccess; }
cudaError_t CUDARTAPI cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return *stream = new CUstream_st(!(flags & cudaStreamNonBlocking)), cudaSuccess;
}
cudaError_t CUDARTAPI cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return cudaStreamCreateWithFlags(stream, flags);
}
cudaError_t CUDARTAPI cudaStreamDestroy(cudaStream_t stream) { return delete stream, cudaSuccess; }
cudaError_t CUDARTAPI cudaStreamSynchronize(cudaStream_t stream) {
  if (fathom::emu::joins_default_stream(stream)) fathom::emu::settle_default_stream();
  if (fathom::emu::unsafe_call()) return remember(cudaErrorStreamCaptureUnsupported);
  fathom::emu::wait_on_host(fathom::emu::clock_of(fathom::emu::number_of(stream)));
  return fathom::emu::capturing(stream) ? remember(cudaErrorStreamCaptureUnsupported) : fathom::emu::met();
}
cudaError_t CUDARTAPI cudaStreamQuery(cudaStream_t) { return cudaSuccess; }

cudaError_t CUDARTAPI cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  if (!stream || stream->capture) return remember(cudaErrorIllegalState);
  stream->capture = std::make_unique<CUgraph_st>();
  stream->rules = {mode, std::this_thread::get_id()};
  const std::lock_guard lock(fathom::emu::captures_mutex);
  fathom::emu::captures.push_back(&stream->rules);
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = fathom::emu::capturing(stream) ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
// A stream's recording is a chain: the next node depends on the last alone.
#if CUDART_VERSION >= 13000
cudaError_t CUDARTAPI cudaStreamGetCaptureInfo(cudaStream_t stream, cudaStreamCaptureStatus* status, unsigned long long*,
                                               cudaGraph_t* graph, const cudaGraphNode_t** last,
                                               const cudaGraphEdgeData**, std::size_t* count) {
#else
cudaError_t CUDARTAPI cudaStreamGetCaptureInfo_v2(cudaStream_t stream, cudaStreamCaptureStatus* status,
                                                  unsigned long long*, cudaGraph_t* graph, const cudaGraphNode_t** last,
                                                  std::size_t* count) {
#endif
  static thread_local cudaGraphNode_t kept = nullptr;
  cudaStreamIsCapturing(stream, status);
  const bool any = *status == cudaStreamCaptureStatusActive && !stream->capture->nodes.empty();
  kept = any ? &stream->capture->nodes.back() : nullptr;
  *graph = *status == cudaStreamCaptureStatusActive ? stream->capture.get() : nullptr;
  *last = &kept, *count = any;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!fathom::emu::capturing(stream)) return remember(cudaErrorIllegalState);
  fathom::emu::end_capture(stream->rules);
  std::unique_ptr<CUgraph_st> captured = std::move(stream->capture);
  *graph = nullptr;
  if (stream->rules.spoiled) return remember(cudaErrorStreamCaptureInvalidated);
  *graph = captured.release();
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaGraphDestroy(cudaGraph_t graph) { return delete graph, cudaSuccess; }
cudaError_t CUDARTAPI cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  for (std::size_t i = 0; nodes && i < *count && i < graph->nodes.size(); ++i) nodes[i] = &graph->nodes[i];
  *count = graph->nodes.size();
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaGraphNodeGetType(cudaGraphNode_t node, cudaGraphNodeType* type) {
  return *type = node->type, cudaSuccess;
}
cudaError_t CUDARTAPI cudaGraphKernelNodeGetParams(cudaGraphNode_t node, cudaKernelNodeParams* p) {
  if (node->type != cudaGraphNodeTypeKernel) return remember(cudaErrorInvalidValue);
  *p = {node->call.function,
        node->grid,
        node->block,
        static_cast<unsigned>(node->dynamic_bytes),
        node->argument_pointers.data(),
        nullptr};
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaGraphKernelNodeSetParams(cudaGraphNode_t node, const cudaKernelNodeParams* p) {
  return remember(fathom::emu::set_kernel(node, *p));
}

cudaError_t CUDARTAPI cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new CUgraphExec_st{*graph, graph, {}};
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaGraphInstantiateWithFlags(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long f) {
  return cudaGraphInstantiate(exec, graph, f);
}
cudaError_t CUDARTAPI cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
cudaError_t CUDARTAPI cudaGraphExecDestroy(cudaGraphExec_t exec) {
  if (!fathom::emu::host_has_waited(exec->launched)) ++fathom::emu::graphs_lost;
  return delete exec, cudaSuccess;
}
cudaError_t CUDARTAPI cudaGraphExecKernelNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                                       const cudaKernelNodeParams* p) {
  return remember(fathom::emu::set_kernel(fathom::emu::node_of(exec, node), *p));
}
cudaError_t CUDARTAPI cudaGraphExecMemcpyNodeSetParams1D(cudaGraphExec_t exec, cudaGraphNode_t node, void* to,
                                                         const void* from, std::size_t bytes, cudaMemcpyKind) {
  CUgraphNode_st* ours = fathom::emu::node_of(exec, node);
  if (!ours || ours->type != cudaGraphNodeTypeMemcpy) return remember(cudaErrorInvalidValue);
  ours->copy_or_fill = {to, from, 0, bytes};
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph,
                                          cudaGraphExecUpdateResultInfo* result) {
  const auto& ours = exec->graph.nodes;
  const bool same = std::equal(ours.begin(), ours.end(), graph->nodes.begin(), graph->nodes.end(),
                               [](const CUgraphNode_st& a, const CUgraphNode_st& b) {
                                 return a.type == b.type && a.call.function == b.call.function;
                               });
  *result = {};
  result->result = same ? cudaGraphExecUpdateSuccess : cudaGraphExecUpdateErrorTopologyChanged;
  if (!same) return remember(cudaErrorGraphExecUpdateFailure);
  exec->graph = *graph;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  if (fathom::emu::capturing(stream)) return remember(cudaErrorStreamCaptureUnsupported);
  for (const CUgraphNode_st& node : exec->graph.nodes)  // a limit may have been lowered since the capture
    if (node.type == cudaGraphNodeTypeKernel && node.dynamic_bytes > fathom::emu::dynamic_limit(node.call.function))
      return remember(cudaErrorInvalidValue);
  if (fathom::emu::joins_default_stream(stream)) fathom::emu::settle_default_stream();
  const std::uint64_t number = fathom::emu::number_of(stream);
  fathom::emu::note_work(number);
  exec->launched[number] = fathom::emu::clock_of(number)[number];
  for (CUgraphNode_st& node : exec->graph.nodes) {
    if (node.type == cudaGraphNodeTypeKernel) {
      if (fathom::emu::faults_now()) continue;
      fathom::emu::run_grid({node.grid, node.block, node.dynamic_bytes, node.call});
    } else {
      fathom::emu::run(node.copy_or_fill);
    }
  }
  return cudaSuccess;
}

}  // extern "C"
