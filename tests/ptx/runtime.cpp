// A stand-in for libcudart: what nvcc's host code registers, memory, streams, events and graphs. Work is done when it is
// enqueued; a stream that records notes it down.
#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "vm.hpp"

using namespace ptx;

namespace {

struct Work {  // a copy, a fill or a launch
  cudaGraphNodeType type = cudaGraphNodeTypeKernel;
  void* to = nullptr;
  const void* from = nullptr;
  int value = 0;
  std::size_t bytes = 0;
  Kernel* kernel = nullptr;
  const void* function = nullptr;
  dim3 grid, block;
  std::size_t dynamic_bytes = 0;
  std::vector<u8> arguments;
};

}  // namespace

struct CUgraphNode_st {
  Work work;
  std::vector<void*> argument_pointers;
};
struct CUgraph_st {
  std::deque<CUgraphNode_st> nodes;
};
struct CUgraphExec_st {
  std::deque<CUgraphNode_st> nodes;
  std::vector<cudaGraphNode_t> recorded;  // whose nodes name ours
};
struct CUstream_st {
  std::unique_ptr<CUgraph_st> recording;
};
struct CUevent_st {
  std::chrono::steady_clock::time_point when{};
};

namespace {

thread_local cudaError_t last_error = cudaSuccess;
cudaError_t said(cudaError_t e) {
  if (e != cudaSuccess) last_error = e;
  return e;
}

std::recursive_mutex& device_mutex() {
  static auto* m = new std::recursive_mutex;
  return *m;
}
struct Registry {
  std::vector<std::unique_ptr<Module>> modules;
  std::map<const void*, Kernel> kernels;  // by the host's stub
};
Registry& registry() {
  static auto* r = new Registry;
  return *r;
}

void report() {
  const Totals& t = totals();
  std::fprintf(stderr, "PTX: %llu launches, %llu blocks, %.1f million warp instructions, %llu notes, %llu faults; seed %u\n",
               static_cast<unsigned long long>(t.launches), static_cast<unsigned long long>(t.blocks), static_cast<double>(t.warp_instructions) * 1e-6,
               static_cast<unsigned long long>(t.notes), static_cast<unsigned long long>(t.faults), settings().seed);
  if (const char* path = std::getenv("PTX_KERNELS")) {  // which kernels ran
    if (FILE* file = std::fopen(path, "a")) {
      for (const auto& [stub, k] : registry().kernels)
        std::fprintf(file, "%llu %llu %s\n", static_cast<unsigned long long>(k.launches), static_cast<unsigned long long>(k.warp_instructions), k.function->name.c_str());
      std::fclose(file);
    }
  }
}

u32 shared_limit();
Kernel* kernel_of(const void* stub) {
  const auto found = registry().kernels.find(stub);
  return found == registry().kernels.end() ? nullptr : &found->second;
}

void run(const Work& w) {
  if (w.type == cudaGraphNodeTypeMemcpy) {
    std::memcpy(w.to, w.from, w.bytes);
  } else if (w.type == cudaGraphNodeTypeMemset) {
    std::memset(w.to, w.value, w.bytes);
  } else {
    const auto start = std::chrono::steady_clock::now();
    const u64 before = totals().warp_instructions;
    run_grid(*w.kernel, {{w.grid.x, w.grid.y, w.grid.z}, {w.block.x, w.block.y, w.block.z}, w.dynamic_bytes}, w.arguments.data());
    if (settings().trace)
      std::fprintf(stderr, "PTX launch %s grid %u,%u,%u block %u,%u,%u shared %zu: %llu warp instructions, %.3f s\n", w.kernel->function->name.c_str(), w.grid.x,
                   w.grid.y, w.grid.z, w.block.x, w.block.y, w.block.z, w.dynamic_bytes, static_cast<unsigned long long>(totals().warp_instructions - before),
                   std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
}
// A fault is reported by the call that ran the kernel, and is over with it: a GPU's context would be lost.
cudaError_t guarded(const Work& w) {
  const std::lock_guard lock(device_mutex());
  try {
    run(w);
    return cudaSuccess;
  } catch (const std::exception& e) {
    ++totals().faults;
    std::fprintf(stderr, "PTX fault: %s\n", e.what());
    return said(cudaErrorIllegalAddress);
  }
}
cudaError_t enqueue(cudaStream_t stream, Work&& w) {
  if (!stream || stream == cudaStreamPerThread || stream == cudaStreamLegacy || !stream->recording) return guarded(w);
  stream->recording->nodes.push_back({std::move(w), {}});
  return cudaSuccess;
}
bool recording(cudaStream_t s) { return s && s != cudaStreamPerThread && s != cudaStreamLegacy && s->recording; }

cudaError_t launch(const void* stub, dim3 grid, dim3 block, void** arguments, std::size_t dynamic_bytes, cudaStream_t stream) {
  const std::lock_guard lock(device_mutex());
  Kernel* k = kernel_of(stub);
  if (!k) return said(cudaErrorInvalidDeviceFunction);
  const u64 threads = u64{block.x} * block.y * block.z;
  const auto refuse = [&](const char* why) {
    std::fprintf(stderr, "PTX refused: %s: %s, grid %u,%u,%u block %u,%u,%u, %zu bytes\n", k->function->name.c_str(), why, grid.x, grid.y, grid.z, block.x,
                 block.y, block.z, dynamic_bytes);
    return said(cudaErrorInvalidConfiguration);
  };
  if (!threads || threads > 1024 || block.z > 64 || !grid.x || !grid.y || !grid.z || grid.x > 0x7FFFFFFFu || grid.y > 65535 || grid.z > 65535)
    return refuse("a shape that no device takes");
  if (k->function->max_threads && threads > k->function->max_threads) return refuse("more threads than its launch bounds");
  try {
    decode(*k);
  } catch (const std::exception& e) {
    ++totals().faults;
    std::fprintf(stderr, "PTX not decoded: %s\n", e.what());
    return said(cudaErrorInvalidPtx);
  }
  if (dynamic_bytes > static_cast<std::size_t>(k->dynamic_limit)) return refuse("more dynamic shared memory than it was allowed");
  if (dynamic_bytes + k->dynamic_start > (k->dynamic_limit > 48 * 1024 ? shared_limit() : 48 * 1024u)) return refuse("more shared memory than a block may have");
  Work w;
  w.kernel = k, w.function = stub, w.grid = grid, w.block = block, w.dynamic_bytes = dynamic_bytes;
  w.arguments.assign(k->function->parameter_bytes, 0xFF);
  for (std::size_t i = 0; i < k->function->parameters.size(); ++i) {
    const Parameter& p = k->function->parameters[i];
    std::memcpy(w.arguments.data() + p.offset, arguments[i], p.bytes);
  }
  return enqueue(stream, std::move(w));
}

bool held(const void* p, std::size_t bytes) { return range_of(reinterpret_cast<u64>(p)).holds(reinterpret_cast<u64>(p), bytes); }

struct Configuration {
  dim3 grid, block;
  std::size_t dynamic_bytes;
  cudaStream_t stream;
};
thread_local std::vector<Configuration> configurations;

// The GPU is the one that the PTX was made for.
int architecture() {
  static const int value = [] {
    if (const char* v = std::getenv("PTX_CC")) return std::atoi(v);
    for (const auto& m : registry().modules)
      if (const auto at = m->target.find("sm_"); at != std::string::npos) return std::atoi(m->target.c_str() + at + 3);
    return 90;
  }();
  return value;
}
u32 shared_limit() {
  switch (architecture()) {
    case 75: return 64 * 1024;
    case 80: case 87: return 163 * 1024;
    case 86: case 89: return 99 * 1024;
    default: return 227 * 1024;
  }
}
int multiprocessors() {
  const char* v = std::getenv("PTX_SMS");
  return v ? std::atoi(v) : 132;
}
std::vector<void*> pointers_into(Work& w) {
  std::vector<void*> pointers;
  for (const Parameter& p : w.kernel->function->parameters) pointers.push_back(w.arguments.data() + p.offset);
  return pointers;
}
cudaError_t set_kernel(CUgraphNode_st* node, const cudaKernelNodeParams& p) {
  if (!node || node->work.type != cudaGraphNodeTypeKernel || node->work.function != p.func) return cudaErrorInvalidValue;
  node->work.grid = p.gridDim, node->work.block = p.blockDim, node->work.dynamic_bytes = p.sharedMemBytes;
  const auto& parameters = node->work.kernel->function->parameters;
  for (std::size_t i = 0; i < parameters.size(); ++i) std::memmove(node->work.arguments.data() + parameters[i].offset, p.kernelParams[i], parameters[i].bytes);
  return cudaSuccess;
}

}  // namespace

#define API cudaError_t CUDARTAPI
extern "C" {

// ---- what nvcc's host code calls
void** CUDARTAPI __cudaRegisterFatBinary(void* wrapper) {
  static const bool once = (std::atexit(report), true);
  (void)once;
  const auto* w = static_cast<const u64*>(wrapper);  // magic and version, the data, a file's name
  const auto* data = reinterpret_cast<const u8*>(w[1]);
  u64 total = 0;
  std::memcpy(&total, data + 8, 8);
  auto* handle = new Module*{nullptr};
  for (u64 at = 16; at < 16 + total;) {  // kind, version, header, bytes
    u16 kind;
    u32 header;
    u64 bytes;
    std::memcpy(&kind, data + at, 2), std::memcpy(&header, data + at + 4, 4), std::memcpy(&bytes, data + at + 8, 8);
    if (kind == 1) {
      const auto* text = reinterpret_cast<const char*>(data + at + header);
      std::string ptx(text, strnlen(text, bytes));
      if (ptx.find(".version") == std::string::npos) {
        std::fprintf(stderr, "PTX: a compressed fat binary; compile with nvcc -no-compress\n");
        std::exit(3);
      }
      try {
        registry().modules.push_back(parse_module(std::move(ptx)));
      } catch (const std::exception& e) {
        std::fprintf(stderr, "PTX not read: %s\n", e.what());
        std::exit(3);
      }
      *handle = registry().modules.back().get();
    }
    at += header + bytes;
  }
  return reinterpret_cast<void**>(handle);
}
void CUDARTAPI __cudaRegisterFatBinaryEnd(void**) {}
void CUDARTAPI __cudaUnregisterFatBinary(void**) {}
char CUDARTAPI __cudaInitModule(void**) { return 1; }
void CUDARTAPI __cudaRegisterFunction(void** handle, const char* stub, char*, const char* name, int, uint3*, uint3*, dim3*, dim3*, int*) {
  Module* m = *reinterpret_cast<Module**>(handle);
  const auto found = m ? m->functions.find(name) : std::map<std::string, std::unique_ptr<Function>>::iterator{};
  if (!m || found == m->functions.end()) {
    std::fprintf(stderr, "PTX: no kernel %s in its module\n", name);
    return;
  }
  Kernel& k = registry().kernels[stub];
  k.function = found->second.get(), k.module = m;
}
void CUDARTAPI __cudaRegisterVar(void**, char*, char*, const char*, int, size_t, int, int) {}
unsigned CUDARTAPI __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t bytes, cudaStream_t stream) {
  configurations.push_back({grid, block, bytes, stream});
  return 0;
}
API __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* bytes, void* stream) {
  const Configuration c = configurations.back();
  configurations.pop_back();
  *grid = c.grid, *block = c.block, *bytes = c.dynamic_bytes, *static_cast<cudaStream_t*>(stream) = c.stream;
  return cudaSuccess;
}
API __cudaGetKernel(cudaKernel_t* kernel, const void* stub) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(stub));
  return cudaSuccess;
}
API __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments, size_t bytes, cudaStream_t stream) {
  return launch(kernel, grid, block, arguments, bytes, stream);
}
API cudaLaunchKernel(const void* stub, dim3 grid, dim3 block, void** arguments, size_t bytes, cudaStream_t stream) {
  return launch(stub, grid, block, arguments, bytes, stream);
}
API cudaLaunchKernelExC(const cudaLaunchConfig_t* c, const void* stub, void** arguments) {
  return launch(stub, c->gridDim, c->blockDim, arguments, c->dynamicSmemBytes, c->stream);
}

// ---- errors
API cudaGetLastError() {
  const cudaError_t e = last_error;
  last_error = cudaSuccess;
  return e;
}
const char* CUDARTAPI cudaGetErrorName(cudaError_t e) {
  switch (e) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorInvalidPtx: return "cudaErrorInvalidPtx";
    default: return "another CUDA error";
  }
}
const char* CUDARTAPI cudaGetErrorString(cudaError_t e) { return e == cudaErrorMemoryAllocation ? "out of memory" : cudaGetErrorName(e); }

// ---- memory
API cudaMalloc(void** p, size_t bytes) {
  *p = nullptr;
  if (!bytes) return cudaSuccess;
  *p = device_allocate(bytes, "cudaMalloc");
  return *p ? cudaSuccess : said(cudaErrorMemoryAllocation);
}
API cudaMallocHost(void** p, size_t bytes) {
  *p = device_allocate(bytes, "cudaMallocHost");
  return *p ? cudaSuccess : said(cudaErrorMemoryAllocation);
}
API cudaFree(void* p) {
  const std::lock_guard lock(device_mutex());
  return !p || device_free(p) ? cudaSuccess : said(cudaErrorInvalidValue);
}
API cudaFreeHost(void* p) { return cudaFree(p); }
API cudaMemGetInfo(size_t* free, size_t* total) {
  *total = kDeviceMemory, *free = kDeviceMemory - device_bytes_in_use();
  return cudaSuccess;
}
API cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (!bytes) return cudaSuccess;
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (!to || !from || (to_device && !held(to, bytes)) || (from_device && !held(from, bytes))) {
    std::fprintf(stderr, "PTX refused: a copy of %zu bytes, kind %d, to %s from %s\n", bytes, static_cast<int>(kind), describe_address(reinterpret_cast<u64>(to)).c_str(),
                 describe_address(reinterpret_cast<u64>(from)).c_str());
    return said(cudaErrorInvalidValue);
  }
  Work w;
  w.type = cudaGraphNodeTypeMemcpy, w.to = to, w.from = from, w.bytes = bytes;
  return enqueue(stream, std::move(w));
}
API cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) { return cudaMemcpyAsync(to, from, bytes, kind, nullptr); }
API cudaMemset(void* to, int value, size_t bytes) {
  if (!bytes) return cudaSuccess;
  if (!held(to, bytes)) {
    std::fprintf(stderr, "PTX refused: a fill of %zu bytes at %s\n", bytes, describe_address(reinterpret_cast<u64>(to)).c_str());
    return said(cudaErrorInvalidValue);
  }
  Work w;
  w.type = cudaGraphNodeTypeMemset, w.to = to, w.value = value, w.bytes = bytes;
  return enqueue(nullptr, std::move(w));
}

// ---- the device
API cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
API cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
API cudaSetDevice(int device) { return device == 0 ? cudaSuccess : said(cudaErrorInvalidDevice); }
API cudaDeviceSynchronize() { return cudaSuccess; }
API cudaDriverGetVersion(int* v) { return *v = 13000, cudaSuccess; }
API cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  if (device != 0) return said(cudaErrorInvalidDevice);
  std::memset(p, 0, sizeof *p);
  std::strcpy(p->name, "PTX interpreter");
  p->major = architecture() / 10, p->minor = architecture() % 10, p->warpSize = 32, p->maxThreadsPerBlock = 1024, p->multiProcessorCount = multiprocessors();
  p->totalGlobalMem = kDeviceMemory, p->l2CacheSize = 16 * 1024;
  p->sharedMemPerBlock = 48 * 1024, p->sharedMemPerBlockOptin = shared_limit(), p->sharedMemPerMultiprocessor = shared_limit() + 1024;
  return cudaSuccess;
}
API cudaDeviceGetAttribute(int* v, cudaDeviceAttr a, int) {
  switch (a) {
    case cudaDevAttrComputeCapabilityMajor: return *v = architecture() / 10, cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor: return *v = architecture() % 10, cudaSuccess;
    case cudaDevAttrWarpSize: return *v = 32, cudaSuccess;
    case cudaDevAttrMaxThreadsPerBlock: return *v = 1024, cudaSuccess;
    case cudaDevAttrMultiProcessorCount: return *v = multiprocessors(), cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock: return *v = 48 * 1024, cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: return *v = static_cast<int>(shared_limit()), cudaSuccess;
    default: return said(cudaErrorInvalidValue);
  }
}
API cudaFuncSetAttribute(const void* stub, cudaFuncAttribute a, int value) {
  const std::lock_guard lock(device_mutex());
  Kernel* k = kernel_of(stub);
  if (!k) return said(cudaErrorInvalidDeviceFunction);
  if (a != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  decode(*k);
  if (value < 0 || static_cast<u32>(value) + k->static_shared > shared_limit()) return said(cudaErrorInvalidValue);
  k->dynamic_limit = value;
  return cudaSuccess;
}
API cudaFuncGetAttributes(cudaFuncAttributes* a, const void* stub) {
  const std::lock_guard lock(device_mutex());
  Kernel* k = kernel_of(stub);
  if (!k) return said(cudaErrorInvalidDeviceFunction);
  decode(*k);
  *a = {};
  a->sharedSizeBytes = k->static_shared, a->localSizeBytes = k->local_bytes, a->numRegs = 64;
  a->maxThreadsPerBlock = k->function->max_threads ? static_cast<int>(k->function->max_threads) : 1024;
  a->maxDynamicSharedSizeBytes = k->dynamic_limit, a->ptxVersion = a->binaryVersion = architecture();
  return cudaSuccess;
}

// ---- events and streams
API cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) { return *e = new CUevent_st, cudaSuccess; }
API cudaEventDestroy(cudaEvent_t e) { return delete e, cudaSuccess; }
API cudaEventRecord(cudaEvent_t e, cudaStream_t) { return e->when = std::chrono::steady_clock::now(), cudaSuccess; }
API cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
API cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
  return *ms = std::chrono::duration<float, std::milli>(end->when - start->when).count(), cudaSuccess;
}
API cudaStreamCreate(cudaStream_t* s) { return *s = new CUstream_st, cudaSuccess; }
API cudaStreamCreateWithFlags(cudaStream_t* s, unsigned) { return cudaStreamCreate(s); }
API cudaStreamDestroy(cudaStream_t s) { return delete s, cudaSuccess; }
API cudaStreamSynchronize(cudaStream_t s) { return recording(s) ? said(cudaErrorStreamCaptureUnsupported) : cudaSuccess; }
API cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
API cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode) {
  if (!s || s->recording) return said(cudaErrorIllegalState);
  s->recording = std::make_unique<CUgraph_st>();
  return cudaSuccess;
}
API cudaStreamIsCapturing(cudaStream_t s, cudaStreamCaptureStatus* status) {
  return *status = recording(s) ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone, cudaSuccess;
}
API cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* graph) {
  if (!recording(s)) return said(cudaErrorIllegalState);
  return *graph = s->recording.release(), cudaSuccess;
}
API cudaStreamGetCaptureInfo(cudaStream_t s, cudaStreamCaptureStatus* status, unsigned long long* id, cudaGraph_t* graph, const cudaGraphNode_t** last,
                             const cudaGraphEdgeData** edges, size_t* count) {
  static thread_local cudaGraphNode_t kept = nullptr;
  const bool now = recording(s);
  *status = now ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  kept = now && !s->recording->nodes.empty() ? &s->recording->nodes.back() : nullptr;
  if (id) *id = 1;
  if (graph) *graph = now ? s->recording.get() : nullptr;
  if (last) *last = &kept;
  if (edges) *edges = nullptr;
  if (count) *count = kept != nullptr;
  return cudaSuccess;
}

// ---- graphs
API cudaGraphDestroy(cudaGraph_t g) { return delete g, cudaSuccess; }
API cudaGraphGetNodes(cudaGraph_t g, cudaGraphNode_t* nodes, size_t* count) {
  for (size_t i = 0; nodes && i < *count && i < g->nodes.size(); ++i) nodes[i] = &g->nodes[i];
  return *count = g->nodes.size(), cudaSuccess;
}
API cudaGraphKernelNodeGetParams(cudaGraphNode_t n, cudaKernelNodeParams* p) {
  if (n->work.type != cudaGraphNodeTypeKernel) return said(cudaErrorInvalidValue);
  n->argument_pointers = pointers_into(n->work);
  *p = {};
  p->func = const_cast<void*>(n->work.function), p->gridDim = n->work.grid, p->blockDim = n->work.block;
  p->sharedMemBytes = static_cast<unsigned>(n->work.dynamic_bytes), p->kernelParams = n->argument_pointers.data();
  return cudaSuccess;
}
API cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t g, unsigned long long) {
  *exec = new CUgraphExec_st{g->nodes, {}};
  for (CUgraphNode_st& n : g->nodes) (*exec)->recorded.push_back(&n);
  return cudaSuccess;
}
API cudaGraphExecDestroy(cudaGraphExec_t e) { return delete e, cudaSuccess; }
API cudaGraphExecKernelNodeSetParams(cudaGraphExec_t e, cudaGraphNode_t n, const cudaKernelNodeParams* p) {
  for (size_t i = 0; i < e->recorded.size(); ++i)
    if (e->recorded[i] == n) return said(set_kernel(&e->nodes[i], *p));
  return said(cudaErrorInvalidValue);
}
API cudaGraphExecUpdate(cudaGraphExec_t e, cudaGraph_t g, cudaGraphExecUpdateResultInfo* result) {
  bool same = e->nodes.size() == g->nodes.size();
  for (size_t i = 0; same && i < g->nodes.size(); ++i) same = e->nodes[i].work.type == g->nodes[i].work.type && e->nodes[i].work.function == g->nodes[i].work.function;
  std::memset(result, 0, sizeof *result);
  result->result = same ? cudaGraphExecUpdateSuccess : cudaGraphExecUpdateErrorTopologyChanged;
  if (!same) return said(cudaErrorGraphExecUpdateFailure);
  for (size_t i = 0; i < g->nodes.size(); ++i) e->nodes[i] = g->nodes[i];
  return cudaSuccess;
}
API cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t s) {
  if (recording(s)) return said(cudaErrorStreamCaptureUnsupported);
  for (CUgraphNode_st& n : e->nodes)
    if (const cudaError_t error = guarded(n.work); error != cudaSuccess) return error;
  return cudaSuccess;
}

}  // extern "C"
