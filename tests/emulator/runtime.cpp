// The CUDA runtime's memory, device, events and errors, as far as the engine uses them: definitions for the prototypes
// of cuda_runtime_api.h, so that host code links unchanged. Fresh memory is poisoned with NaNs.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "tests/emulator/emu.hpp"
#include "tests/emulator/sanitizers.hpp"
#include "tests/emulator/stream.hpp"
#include "tests/emulator/stream_order.hpp"

struct CUevent_st {
  fathom::emu::StreamClock clock;
  std::chrono::steady_clock::time_point when{};
};

namespace fathom::emu {
namespace {

thread_local cudaError_t last_error = cudaSuccess;

std::mutex memory_mutex;
std::map<void*, std::size_t> allocations;
std::size_t bytes_allocated = 0;

cudaError_t allocate(void** p, std::size_t bytes) {
  *p = nullptr;
  if (unsafe_call()) return remember(cudaErrorStreamCaptureUnsupported);
  if (bytes == 0) return cudaSuccess;
  const std::lock_guard lock(memory_mutex);
  if (bytes > config().device_memory || bytes_allocated > config().device_memory - bytes) {
    return remember(cudaErrorMemoryAllocation);
  }
#ifdef __SANITIZE_ADDRESS__
  constexpr std::size_t past_the_end = 0;  // seen by the sanitizer
#else
  constexpr std::size_t past_the_end = 4096;  // never zeros, as what is counted up from 0 would take them for its own
#endif
  if (posix_memalign(p, 256, bytes + past_the_end) != 0) return remember(cudaErrorMemoryAllocation);
  std::memset(*p, 0xFF, bytes + past_the_end);
  allocations[*p] = bytes;
  bytes_allocated += bytes;
  return cudaSuccess;
}

cudaError_t release_memory(void* p) {
  if (!p) return cudaSuccess;
  const std::lock_guard lock(memory_mutex);
  const auto found = allocations.find(p);
  if (found == allocations.end()) return remember(cudaErrorInvalidValue);
  bytes_allocated -= found->second;
  allocations.erase(found);
  std::free(p);
  return cudaSuccess;
}

constexpr int kSharedUnasked = 48 * 1024;  // of dynamic shared memory

std::mutex limits_mutex;
std::map<const void*, int> shared_limits;  // of kernels that asked

int asked_limit(const void* kernel) {
  const std::lock_guard lock(limits_mutex);
  const auto found = shared_limits.find(kernel);
  return found == shared_limits.end() ? kSharedUnasked : found->second;
}

}  // namespace

cudaError_t remember(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

std::size_t dynamic_limit(const void* kernel) {
  return std::min(config().shared_limit, static_cast<std::size_t>(asked_limit(kernel)));
}

}  // namespace fathom::emu

using fathom::emu::remember;

extern "C" {

cudaError_t CUDARTAPI cudaGetLastError() {
  const cudaError_t error = fathom::emu::last_error;
  fathom::emu::last_error = cudaSuccess;
  return error;
}
cudaError_t CUDARTAPI cudaPeekAtLastError() { return fathom::emu::last_error; }
const char* CUDARTAPI cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorIllegalState: return "cudaErrorIllegalState";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    default: return "another CUDA error";
  }
}
const char* CUDARTAPI cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
    default: return cudaGetErrorName(error);
  }
}

cudaError_t CUDARTAPI cudaMalloc(void** p, std::size_t bytes) { return fathom::emu::allocate(p, bytes); }
cudaError_t CUDARTAPI cudaMallocAsync(void** p, std::size_t bytes, cudaStream_t) { return cudaMalloc(p, bytes); }
cudaError_t CUDARTAPI cudaMallocHost(void** p, std::size_t bytes) { return cudaMalloc(p, bytes); }
cudaError_t CUDARTAPI cudaHostAlloc(void** p, std::size_t bytes, unsigned) { return cudaMalloc(p, bytes); }
cudaError_t CUDARTAPI cudaFree(void* p) {
  fathom::emu::settle_default_stream();  // it waits for the device
  fathom::emu::wait_on_host_for_all();
  return fathom::emu::release_memory(p);
}
cudaError_t CUDARTAPI cudaFreeAsync(void* p, cudaStream_t) { return cudaFree(p); }
cudaError_t CUDARTAPI cudaFreeHost(void* p) { return cudaFree(p); }
cudaError_t CUDARTAPI cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const std::lock_guard lock(fathom::emu::memory_mutex);
  *total = fathom::emu::config().device_memory;
  *free = *total - fathom::emu::bytes_allocated;
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                                      cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  if (!to || !from) return remember(cudaErrorInvalidValue);
  return fathom::emu::enqueue(stream, {to, from, 0, bytes});
}
cudaError_t CUDARTAPI cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  if (kind != cudaMemcpyHostToDevice || !to || !from) {
    const cudaError_t error = cudaMemcpyAsync(to, from, bytes, kind, nullptr);
    fathom::emu::wait_on_host(fathom::emu::clock_of(0));
    return error;
  }
  return fathom::emu::fill_or_upload_late({to, from, 0, bytes}), cudaSuccess;
}
cudaError_t CUDARTAPI cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                                        std::size_t width, std::size_t height, cudaMemcpyKind kind,
                                        cudaStream_t stream) {
  for (std::size_t row = 0; row < height; ++row) {
    const cudaError_t error = cudaMemcpyAsync(static_cast<char*>(to) + row * to_pitch,
                                              static_cast<const char*>(from) + row * from_pitch, width, kind, stream);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  if (!to) return remember(cudaErrorInvalidValue);
  return fathom::emu::enqueue(stream, {to, nullptr, value, bytes});
}
cudaError_t CUDARTAPI cudaMemset(void* to, int value, std::size_t bytes) {
  if (!to && bytes) return remember(cudaErrorInvalidValue);
  return fathom::emu::fill_or_upload_late({to, nullptr, value, bytes}), cudaSuccess;
}

cudaError_t CUDARTAPI cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
cudaError_t CUDARTAPI cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
cudaError_t CUDARTAPI cudaSetDevice(int device) { return device == 0 ? cudaSuccess : remember(cudaErrorInvalidDevice); }
cudaError_t CUDARTAPI cudaDeviceSynchronize() {
  if (fathom::emu::unsafe_call()) return remember(cudaErrorStreamCaptureUnsupported);
  fathom::emu::settle_default_stream();
  fathom::emu::wait_on_host_for_all();
  return fathom::emu::met();
}
cudaError_t CUDARTAPI cudaDriverGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t CUDARTAPI cudaRuntimeGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t CUDARTAPI cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return remember(cudaErrorInvalidDevice);
  *properties = {};
  std::strcpy(properties->name, "CUDA emulator on the CPU");
  properties->major = fathom::emu::config().capability / 10;
  properties->minor = fathom::emu::config().capability % 10;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->multiProcessorCount = fathom::emu::config().multiprocessors;
  properties->totalGlobalMem = fathom::emu::config().device_memory;
  properties->l2CacheSize = 16 * 1024;  // so small that programs which look at it have little to do
  properties->sharedMemPerBlock = 48 * 1024;
  properties->sharedMemPerBlockOptin = fathom::emu::config().shared_limit;
  properties->sharedMemPerMultiprocessor = fathom::emu::config().shared_limit + 1024;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor: return *value = fathom::emu::config().capability / 10, cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor: return *value = fathom::emu::config().capability % 10, cudaSuccess;
    case cudaDevAttrWarpSize: return *value = 32, cudaSuccess;
    case cudaDevAttrMaxThreadsPerBlock: return *value = 1024, cudaSuccess;
    case cudaDevAttrMultiProcessorCount: return *value = fathom::emu::config().multiprocessors, cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock: return *value = 48 * 1024, cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return *value = static_cast<int>(fathom::emu::config().shared_limit), cudaSuccess;
    default: return *value = 0, remember(cudaErrorInvalidValue);
  }
}
cudaError_t CUDARTAPI cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || static_cast<std::size_t>(value) > fathom::emu::config().shared_limit)
    return remember(cudaErrorInvalidValue);
  const std::lock_guard lock(fathom::emu::limits_mutex);
  return fathom::emu::shared_limits[kernel] = value, cudaSuccess;
}
cudaError_t CUDARTAPI cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel) {
  *attributes = {};
  attributes->maxThreadsPerBlock = 1024;
  attributes->maxDynamicSharedSizeBytes = fathom::emu::asked_limit(kernel);
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int, std::size_t) {
  return *blocks = 1, cudaSuccess;
}

cudaError_t CUDARTAPI cudaEventCreate(cudaEvent_t* event) { return *event = new CUevent_st, cudaSuccess; }
cudaError_t CUDARTAPI cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { return cudaEventCreate(event); }
cudaError_t CUDARTAPI cudaEventDestroy(cudaEvent_t event) { return delete event, cudaSuccess; }
cudaError_t CUDARTAPI cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->clock = fathom::emu::clock_of(fathom::emu::number_of(stream));
  return event->when = std::chrono::steady_clock::now(), cudaSuccess;
}
cudaError_t CUDARTAPI cudaEventQuery(cudaEvent_t) { return cudaSuccess; }
cudaError_t CUDARTAPI cudaEventSynchronize(cudaEvent_t event) {
  if (fathom::emu::unsafe_call()) return remember(cudaErrorStreamCaptureUnsupported);
  fathom::emu::wait_on_host(event->clock);
  return fathom::emu::met();
}
cudaError_t CUDARTAPI cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  fathom::emu::wait_in_stream(fathom::emu::number_of(stream), event->clock);
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
  *ms = std::chrono::duration<float, std::milli>(end->when - start->when).count();
  return cudaSuccess;
}

}  // extern "C"
