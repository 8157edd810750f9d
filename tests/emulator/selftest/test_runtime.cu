// The runtime that the emulator stands in for: memory, streams, captured graphs.
#include <cmath>
#include <thread>
#include <vector>

#include "kernels/cuda/gpu.cuh"
#include "tests/catch.hpp"
#include "tests/emulator/emu.hpp"

namespace emu = fathom::emu;
namespace gpu = fathom::gpu;
using gpu::check;

namespace {

__global__ void scale(const float* x, float* y, float factor) { y[threadIdx.x] = x[threadIdx.x] * factor; }

float* allocate(std::size_t floats) {
  void* p = nullptr;
  check(cudaMalloc(&p, floats * sizeof(float)));
  return static_cast<float*>(p);
}

}  // namespace

TEST_CASE("fresh memory holds NaNs, and more than there is cannot be had") {
  float* p = allocate(10);
  for (int i = 0; i < 10; ++i) CHECK(std::isnan(p[i]));
  CHECK(reinterpret_cast<std::uintptr_t>(p) % 256 == 0);

  std::size_t free_before = 0, free_after = 0, total = 0;
  check(cudaMemGetInfo(&free_before, &total));
  CHECK(total == emu::config().device_memory);
  check(cudaFree(p));
  check(cudaMemGetInfo(&free_after, &total));
  CHECK(free_after == free_before + 40);

  const emu::ScopedConfig small_gpu({.device_memory = total - free_after + 4096});
  void* q = nullptr;
  CHECK(cudaMalloc(&q, 5000) == cudaErrorMemoryAllocation);
  CHECK(q == nullptr);
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation);
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK(cudaMalloc(&q, 4096) == cudaSuccess);
  CHECK(cudaFree(q) == cudaSuccess);
  CHECK(cudaFree(q) == cudaErrorInvalidValue);  // twice
  (void)cudaGetLastError();
}

TEST_CASE("what CUDA forbids during a capture is refused and spoils it") {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  const auto capture = [&](cudaStreamCaptureMode mode, auto&& call) {
    check(cudaStreamBeginCapture(stream, mode));
    const cudaError_t refusal = call();
    cudaGraph_t graph = nullptr;
    const cudaError_t end = cudaStreamEndCapture(stream, &graph);
    (void)cudaGetLastError();
    if (graph) check(cudaGraphDestroy(graph));
    CHECK((refusal == cudaSuccess) == (end == cudaSuccess));
    return end;
  };
  const auto allocates = [] {
    void* p = nullptr;
    const cudaError_t error = cudaMalloc(&p, 8);
    check(cudaFree(p));
    return error;
  };
  const auto allocates_elsewhere = [&] {
    cudaError_t error = cudaErrorUnknown;
    std::thread([&] { error = allocates(); }).join();
    return error;
  };
  CHECK(capture(cudaStreamCaptureModeThreadLocal, [&] { return cudaStreamSynchronize(stream); }) == cudaErrorStreamCaptureInvalidated);
  CHECK(capture(cudaStreamCaptureModeThreadLocal, [] { return cudaDeviceSynchronize(); }) == cudaErrorStreamCaptureInvalidated);
  CHECK(capture(cudaStreamCaptureModeThreadLocal, allocates) == cudaErrorStreamCaptureInvalidated);
  CHECK(capture(cudaStreamCaptureModeThreadLocal, allocates_elsewhere) == cudaSuccess);
  CHECK(capture(cudaStreamCaptureModeGlobal, allocates_elsewhere) == cudaErrorStreamCaptureInvalidated);
  CHECK(capture(cudaStreamCaptureModeRelaxed, allocates) == cudaSuccess);
  CHECK(allocates() == cudaSuccess);
  check(cudaStreamDestroy(stream));
}

TEST_CASE("a captured stream runs nothing; its graph runs what was captured, with other arguments if told so") {
  float *x = allocate(32), *y = allocate(32), *z = allocate(32), *other = allocate(32);
  for (int i = 0; i < 32; ++i) x[i] = static_cast<float>(i), other[i] = -1;
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  cudaStreamCaptureStatus status{};
  check(cudaStreamIsCapturing(stream, &status));
  CHECK(status == cudaStreamCaptureStatusActive);
  gpu::launch(scale, {.grid = 1, .block = 32}, stream, x, y, 2.0f);
  check(cudaMemcpyAsync(z, y, 32 * sizeof(float), cudaMemcpyDeviceToDevice, stream));
  check(cudaMemsetAsync(y, 0, 32 * sizeof(float), stream));
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(stream, &graph));
  CHECK(std::isnan(y[1]));

  cudaGraphExec_t exec = nullptr;
  check(cudaGraphInstantiate(&exec, graph, 0));
  check(cudaGraphLaunch(exec, stream));
  check(cudaStreamSynchronize(stream));
  CHECK(z[3] == 6);
  CHECK(y[3] == 0);

  cudaGraphNode_t nodes[3];
  std::size_t count = 3;
  check(cudaGraphGetNodes(graph, nodes, &count));
  REQUIRE(count == 3);
  cudaGraphNodeType type{};
  check(cudaGraphNodeGetType(nodes[0], &type));
  REQUIRE(type == cudaGraphNodeTypeKernel);
  cudaKernelNodeParams params{};
  check(cudaGraphKernelNodeGetParams(nodes[0], &params));
  CHECK(*static_cast<const float**>(params.kernelParams[0]) == x);
  const float* from = other;
  float factor = 5;
  void* arguments[] = {&from, &y, &factor};
  params.kernelParams = arguments;
  check(cudaGraphExecKernelNodeSetParams(exec, nodes[0], &params));
  check(cudaGraphExecMemcpyNodeSetParams1D(exec, nodes[1], other, y, 16 * sizeof(float), cudaMemcpyDeviceToDevice));
  check(cudaGraphLaunch(exec, stream));
  CHECK(z[3] == 6);
  CHECK(other[15] == -5);
  CHECK(other[16] == -1);

  // A second capture of the same kernels can take the graph's place.
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  gpu::launch(scale, {.grid = 1, .block = 32}, stream, x, y, 3.0f);
  check(cudaMemcpyAsync(z, y, 32 * sizeof(float), cudaMemcpyDeviceToDevice, stream));
  check(cudaMemsetAsync(y, 0, 32 * sizeof(float), stream));
  cudaGraph_t second = nullptr;
  check(cudaStreamEndCapture(stream, &second));
  cudaGraphExecUpdateResultInfo result{};
  check(cudaGraphExecUpdate(exec, second, &result));
  CHECK(result.result == cudaGraphExecUpdateSuccess);
  check(cudaGraphDestroy(second));
  check(cudaGraphLaunch(exec, stream));
  CHECK(z[3] == 9);

  check(cudaGraphExecDestroy(exec));
  check(cudaGraphDestroy(graph));
  check(cudaStreamDestroy(stream));
  for (float* p : {x, y, z, other}) check(cudaFree(p));
}

TEST_CASE("copies and fills of the default stream arrive late, and only those who wait for it see them") {
  float *x = allocate(32), *y = allocate(32);
  std::vector<float> host(32, 2);
  cudaStream_t beside = nullptr, joined = nullptr;
  check(cudaStreamCreateWithFlags(&beside, cudaStreamNonBlocking));
  check(cudaStreamCreate(&joined));
  check(cudaMemcpy(x, host.data(), 32 * sizeof(float), cudaMemcpyHostToDevice));
  host.assign(32, 5);  // what was copied is what it held then
  gpu::launch(scale, {.grid = 1, .block = 32}, beside, x, y, 3.0f);
  check(cudaStreamSynchronize(beside));
  CHECK(std::isnan(y[0]));
  gpu::launch(scale, {.grid = 1, .block = 32}, joined, x, y, 3.0f);
  CHECK(y[0] == 6);
  check(cudaMemset(x, 0, 32 * sizeof(float)));
  gpu::launch(scale, {.grid = 1, .block = 32}, beside, x, y, 3.0f);
  CHECK(y[0] == 6);
  check(cudaStreamSynchronize(nullptr));
  gpu::launch(scale, {.grid = 1, .block = 32}, beside, x, y, 3.0f);
  CHECK(y[0] == 0);
  check(cudaStreamDestroy(beside));
  check(cudaStreamDestroy(joined));
  for (float* p : {x, y}) check(cudaFree(p));
}

TEST_CASE("more than 48 KiB of shared memory must be asked for, and who lowers the limit fails a recorded launch") {
  float *x = allocate(32), *y = allocate(32);
  const auto* kernel = reinterpret_cast<const void*>(scale);
  const auto launch = [&](cudaStream_t stream, std::size_t kib) {
    gpu::launch(scale, {.grid = 1, .block = 32, .shared_bytes = kib << 10}, stream, x, y, 2.0f);
  };
  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  for (const std::size_t kib : {200, 60}) launch(stream, kib);  // gpu::launch asks, once for both
  check(cudaStreamEndCapture(stream, &graph));
  check(cudaGraphInstantiate(&exec, graph, 0));
  CHECK(cudaGraphLaunch(exec, stream) == cudaSuccess);
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 60 << 10));
  CHECK(cudaGraphLaunch(exec, stream) == cudaErrorInvalidValue);
  CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 228 << 10) == cudaErrorInvalidValue);
  (void)cudaGetLastError();
  check(cudaGraphExecDestroy(exec));
  check(cudaGraphDestroy(graph));
  check(cudaStreamDestroy(stream));
  for (float* p : {x, y}) check(cudaFree(p));
}

TEST_CASE("the device describes itself") {
  int count = 0, value = 0;
  check(cudaGetDeviceCount(&count));
  CHECK(count == 1);
  check(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
  CHECK(value == 227 * 1024);
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, 0));
  CHECK(std::string(properties.name).find("emulator") != std::string::npos);
  CHECK(properties.warpSize == 32);
  CHECK(cudaSetDevice(1) == cudaErrorInvalidDevice);
  (void)cudaGetLastError();
}
