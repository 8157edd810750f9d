// The probes: one kernel per wrapper. Each has a name, which its reference goes by.
#include "tests/emulator/conformance/conformance.hpp"

#include "kernels/cuda/gpu.cuh"

namespace fathom::conformance {
namespace {

using namespace gpu;
using U = std::uint32_t;

__device__ int id() { return static_cast<int>(threadIdx.x); }

// ---- products: a, b, c in registers, lane by lane
__global__ void k_mma_m16n8k16(const U* in, U* out) {
  const U* r = in + id() * 10;
  const float c[4] = {__uint_as_float(r[6]), __uint_as_float(r[7]), __uint_as_float(r[8]), __uint_as_float(r[9])};
  float d[4];
  mma_m16n8k16(d, {r[0], r[1], r[2], r[3]}, {r[4], r[5]}, c);
  for (int i = 0; i < 4; ++i) out[id() * 4 + i] = __float_as_uint(d[i]);
}
__global__ void k_mma_m16n8k8(const U* in, U* out) {
  const U* r = in + id() * 7;
  const float c[4] = {__uint_as_float(r[3]), __uint_as_float(r[4]), __uint_as_float(r[5]), __uint_as_float(r[6])};
  float d[4];
  mma_m16n8k8(d, {r[0], r[1]}, r[2], c);
  for (int i = 0; i < 4; ++i) out[id() * 4 + i] = __float_as_uint(d[i]);
}
__global__ void k_mma_m16n8k8_tf32(const U* in, U* out) {
  const U* r = in + id() * 10;
  const float c[4] = {__uint_as_float(r[6]), __uint_as_float(r[7]), __uint_as_float(r[8]), __uint_as_float(r[9])};
  float d[4];
  mma_m16n8k8_tf32(d, {r[0], r[1], r[2], r[3]}, {r[4], r[5]}, c);
  for (int i = 0; i < 4; ++i) out[id() * 4 + i] = __float_as_uint(d[i]);
}
__global__ void k_to_tf32(const U* in, U* out) { out[id()] = to_tf32(__uint_as_float(in[id()])); }

// ---- ldmatrix: 32 rows of 16 bytes, lane l pointing at row 7 l + 3 modulo 32
template <int Matrices, bool Transposed>
__global__ void k_ldmatrix(const U* in, U* out) {
  GPU_SHARED(uint4, rows, [32]);
  rows[id()] = make_uint4(in[id() * 4], in[id() * 4 + 1], in[id() * 4 + 2], in[id() * 4 + 3]);
  __syncthreads();
  U r[Matrices];
  if constexpr (Transposed)
    ldmatrix_transposed(r, &rows[(id() * 7 + 3) % 32]);
  else
    ldmatrix(r, &rows[(id() * 7 + 3) % 32]);
  for (int i = 0; i < Matrices; ++i) out[id() * Matrices + i] = r[i];
}

// ---- cp.async: thread t copies t modulo (Bytes + 1) valid bytes, then in two more groups all of them
template <int Bytes>
__global__ void k_cp_async(const U* in, U* out) {
  constexpr int kWords = Bytes / 4, kStage = 64 * kWords;
  GPU_SHARED(uint4, buffer, [3 * 16 * kWords]);
  U* stages = reinterpret_cast<U*>(buffer);
  const int at = id() * kWords, other = (id() + 13) % 64 * kWords;  // what another thread asked for
  cp_async<Bytes>(stages + at, in + at, id() % (Bytes + 1));
  cp_async_commit();
  cp_async<Bytes>(stages + kStage + at, in + kStage + at);
  cp_async_commit();
  cp_async<Bytes>(stages + 2 * kStage + at, in + 2 * kStage + at);
  cp_async_commit();
  cp_async_wait<2>();
  __syncthreads();
  for (int i = 0; i < kWords; ++i) out[at + i] = stages[other + i];
  cp_async_wait<0>();
  __syncthreads();
  for (int stage = 1; stage < 3; ++stage) {
    for (int i = 0; i < kWords; ++i) out[stage * kStage + at + i] = stages[stage * kStage + other + i];
  }
}

// By a sign in the place of a number: every third thread's are zeros. Waited for without having been closed.
template <int Bytes>
__global__ void k_cp_async_or_zeros(const U* in, U* out) {
  constexpr int kWords = Bytes / 4;
  GPU_SHARED(uint4, buffer, [16 * kWords]);
  U* stage = reinterpret_cast<U*>(buffer);
  const int at = id() * kWords, other = (id() + 13) % 64 * kWords;
  cp_async_or_zeros<Bytes>(stage + at, in + at, id() % 3 - 1);
  cp_async_wait_all();
  __syncthreads();
  for (int i = 0; i < kWords; ++i) out[at + i] = stage[other + i];
}

// ---- shuffles and votes
template <int Width>
__global__ void k_shuffle(const U* in, U* out) {
  const U v = in[id()];
  U* to = out + id() * 6;
  to[0] = __shfl_sync(kAllLanes, v, id() * 5 % 37, Width);
  to[1] = __shfl_xor_sync(kAllLanes, v, 3, Width);
  to[2] = __shfl_xor_sync(kAllLanes, v, 16, Width);  // with a narrow width, out of reach for half of the lanes
  to[3] = __shfl_up_sync(kAllLanes, v, 3, Width);
  to[4] = __shfl_down_sync(kAllLanes, v, 3, Width);
  to[5] = __float_as_uint(__shfl_down_sync(kAllLanes, __uint_as_float(v), 1, Width));
}
__global__ void k_vote(const U* in, U* out) {
  const int odd = static_cast<int>(in[id()] & 1);
  const U half = id() < 16 ? 0x0000FFFFu : 0xFFFF0000u;
  U* to = out + id() * 4;
  to[0] = __ballot_sync(kAllLanes, odd);
  to[1] = __ballot_sync(half, odd);
  to[2] = static_cast<U>(__any_sync(half, in[id()] % 16 == 0) != 0);
  to[3] = static_cast<U>(__all_sync(half, in[id()] % 16 != 0) != 0);
}
__global__ void k_block_votes(const U* in, U* out) {
  U* to = out + id() * 3;
  to[0] = static_cast<U>(__syncthreads_count(in[id()] & 1));
  to[1] = static_cast<U>(__syncthreads_or(in[id()] == 0) != 0);
  to[2] = static_cast<U>(__syncthreads_and(in[id()] != 0) != 0);
}

// ---- reductions: the order of the sums is part of the promise
__global__ void k_reduce(const U* in, U* out) {
  const float v = __uint_as_float(in[id()]);
  U* to = out + id() * 4;
  to[0] = __float_as_uint(warp_sum(v));
  to[1] = __float_as_uint(warp_sum<4>(v));
  to[2] = __float_as_uint(warp_max(v));
  to[3] = __float_as_uint(block_sum<128>(v));
}
__global__ void k_last_block(const U* in, U* out) {  // out: 64 sums, 4 x 64 partial values, the counter
  U* partial = out + 64;
  const int block = static_cast<int>(blockIdx.x);
  partial[block * 64 + id()] = in[block * 64 + id()] % 1000;
  if (!last_block(out + 5 * 64, gridDim.x)) return;
  U sum = 0;
  for (int b = 0; b < 4; ++b) sum += partial[b * 64 + id()];
  out[id()] = sum;
}

// ---- memory and conversions
__global__ void k_vectors(const U* in, U* out) {
  const auto* halves = reinterpret_cast<const __half*>(in);
  store_vec(reinterpret_cast<__half*>(out) + id() * 8, load_vec<8>(halves + (id() ^ 1) * 8));
  out += 4 * 32;
  store_vec(reinterpret_cast<__half*>(out) + id() * 2, load_vec_readonly<2>(halves + (id() ^ 2) * 2));
  out += 32;
  store_vec(reinterpret_cast<float*>(out) + id() * 8, to_float(load_vec<8>(halves + id() * 8)));
}
__global__ void k_half_to_float(const U* in, U* out) {
  const float2 pair = unpack_halves(in[id()]);
  out[id() * 2] = __float_as_uint(pair.x);
  out[id() * 2 + 1] = __float_as_uint(pair.y);
}
__global__ void k_float_to_half(const U* in, U* out) {
  out[id()] = pack_halves(__uint_as_float(in[id() * 2]), __uint_as_float(in[id() * 2 + 1]));
}
__global__ void k_larger_halves(const U* in, U* out) { out[id()] = larger_halves(in[id() * 2], in[id() * 2 + 1]); }
__global__ void k_fast_math(const U* in, U* out) {
  const float x = __uint_as_float(in[id()]), positive = x * x + 0.1f;
  U* to = out + id() * 4;
  to[0] = __float_as_uint(__expf(x));
  to[1] = __float_as_uint(rsqrtf(positive));
  to[2] = __float_as_uint(__fdividef(x, positive));
  to[3] = __float_as_uint(__saturatef(x));
}
__global__ void k_atomics(const U* in, U* out) {  // out starts as zeros
  atomicAdd(out, in[id()]);
  atomicMax(out + 1, in[id()]);
  atomicOr(out + 2, in[id()] & in[(id() + 1) % 32]);
  atomicInc(out + 3, 20);
  atomicAdd(reinterpret_cast<float*>(out) + 4, static_cast<float>(in[id()] % 1000));  // whole numbers: exact
}

}  // namespace

const std::vector<Probe>& probes() {
  static const std::vector<Probe> kProbes = {
      {"mma_m16n8k16", 32, Input::halves, 320, 128, 2e-3, k_mma_m16n8k16},
      {"mma_m16n8k8", 32, Input::halves, 224, 128, 2e-3, k_mma_m16n8k8},
      {"mma_m16n8k8_tf32", 32, Input::floats, 320, 128, 2e-3, k_mma_m16n8k8_tf32},
      {"to_tf32", 64, Input::floats, 64, 64, 0, k_to_tf32},
      {"ldmatrix_x1", 32, Input::bits, 128, 32, 0, k_ldmatrix<1, false>},
      {"ldmatrix_x2", 32, Input::bits, 128, 64, 0, k_ldmatrix<2, false>},
      {"ldmatrix_x4", 32, Input::bits, 128, 128, 0, k_ldmatrix<4, false>},
      {"ldmatrix_transposed_x1", 32, Input::bits, 128, 32, 0, k_ldmatrix<1, true>},
      {"ldmatrix_transposed_x2", 32, Input::bits, 128, 64, 0, k_ldmatrix<2, true>},
      {"ldmatrix_transposed_x4", 32, Input::bits, 128, 128, 0, k_ldmatrix<4, true>},
      {"cp_async_16", 64, Input::bits, 768, 768, 0, k_cp_async<16>},
      {"cp_async_8", 64, Input::bits, 384, 384, 0, k_cp_async<8>},
      {"cp_async_4", 64, Input::bits, 192, 192, 0, k_cp_async<4>},
      {"cp_async_or_zeros_16", 64, Input::bits, 256, 256, 0, k_cp_async_or_zeros<16>},
      {"cp_async_or_zeros_4", 64, Input::bits, 64, 64, 0, k_cp_async_or_zeros<4>},
      {"shuffle_32", 32, Input::bits, 32, 192, 0, k_shuffle<32>},
      {"shuffle_8", 32, Input::bits, 32, 192, 0, k_shuffle<8>},
      {"vote", 32, Input::bits, 32, 128, 0, k_vote},
      {"block_votes", 96, Input::bits, 96, 288, 0, k_block_votes},
      {"reduce", 128, Input::floats, 128, 512, 0, k_reduce},
      {"last_block", 64, Input::bits, 256, 321, 0, k_last_block},
      {"vectors", 32, Input::halves, 128, 416, 0, k_vectors},
      {"half_to_float", 64, Input::bits, 64, 128, 0, k_half_to_float},
      {"float_to_half", 64, Input::floats, 128, 64, 0, k_float_to_half},
      {"larger_halves", 64, Input::halves, 128, 64, 0, k_larger_halves},
      {"fast_math", 64, Input::floats, 64, 256, 4e-6, k_fast_math},
      {"atomics", 32, Input::bits, 32, 5, 0, k_atomics},
  };
  return kProbes;
}

bool device_present() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

Words run(const Probe& probe, const Words& in) {
  Words out(static_cast<std::size_t>(probe.out_words));
  const std::size_t in_bytes = in.size() * sizeof(U), out_bytes = out.size() * sizeof(U);
  void* device_in = nullptr;
  void* device_out = nullptr;
  check(cudaMalloc(&device_in, in_bytes));
  check(cudaMalloc(&device_out, out_bytes));
  check(cudaMemcpy(device_in, in.data(), in_bytes, cudaMemcpyHostToDevice));
  check(cudaMemset(device_out, 0, out_bytes));
  const unsigned blocks = probe.name == "last_block" ? 4 : 1;
  launch(probe.kernel, {.grid = blocks, .block = static_cast<unsigned>(probe.threads)}, nullptr,
         static_cast<const U*>(device_in), static_cast<U*>(device_out));
  check(cudaMemcpy(out.data(), device_out, out_bytes, cudaMemcpyDeviceToHost));
  check(cudaFree(device_in));
  check(cudaFree(device_out));
  return out;
}

}  // namespace fathom::conformance
