// A stand-in for cuBLASLt, for machines without a GPU: the functions of its interface that cublaslt.cpp calls. It keeps
// what descriptors are told, multiplies by nothing else, and refuses what NVIDIA's documentation says is not supported.
// Device memory is the emulator's, in the host's: its functions are those of the program that opens this.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "tests/kernels/libraries/fake_cublaslt.hpp"

namespace {

using namespace fake;

bool aligned(const void* pointer, std::uint64_t bytes) {
  return reinterpret_cast<std::uintptr_t>(pointer) % bytes == 0;
}

template <class T>
cublasStatus_t put(T& to, const void* value, std::size_t bytes) {
  if (!value || bytes != sizeof to) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&to, value, sizeof to);
  return CUBLAS_STATUS_SUCCESS;
}

template <class T>
cublasStatus_t get(const T& from, void* value, std::size_t bytes, std::size_t* written) {
  if (!value || bytes != sizeof from) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(value, &from, sizeof from);
  if (written) *written = sizeof from;
  return CUBLAS_STATUS_SUCCESS;
}

Algorithm algorithm_of(const cublasLtMatmulAlgo_t* algo) {
  Algorithm a;
  std::memcpy(static_cast<void*>(&a), algo, sizeof a);
  return a;
}

Layout& of(cublasLtMatrixLayout_t l) { return *reinterpret_cast<Layout*>(l); }
Operation& of(cublasLtMatmulDesc_t o) { return *reinterpret_cast<Operation*>(o); }
Preference& of(cublasLtMatmulPreference_t p) { return *reinterpret_cast<Preference*>(p); }
int the_handle = 0;

}  // namespace

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = reinterpret_cast<cublasLtHandle_t>(&the_handle);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t) { return CUBLAS_STATUS_SUCCESS; }
std::size_t cublasLtGetVersion() { return 990704; }
const char* cublasLtGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_INVALID_VALUE ? "an invalid value" : "not supported";
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* made, cudaDataType type, std::uint64_t rows,
                                          std::uint64_t columns, std::int64_t ld) {
  *made = reinterpret_cast<cublasLtMatrixLayout_t>(new Layout{type, rows, columns, ld});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l) {
  delete &of(l);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t l, cublasLtMatrixLayoutAttribute_t name,
                                                const void* value, std::size_t bytes) {
  switch (name) {
    case CUBLASLT_MATRIX_LAYOUT_ORDER: return put(of(l).order, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT: return put(of(l).batch, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET: return put(of(l).batch_step, value, bytes);
    default: return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* made, cublasComputeType_t compute, cudaDataType_t scale) {
  *made = reinterpret_cast<cublasLtMatmulDesc_t>(new Operation{compute, scale});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t o) {
  delete &of(o);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t o, cublasLtMatmulDescAttributes_t name,
                                              const void* value, std::size_t bytes) {
  switch (name) {
    case CUBLASLT_MATMUL_DESC_TRANSA: return put(of(o).transpose_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB: return put(of(o).transpose_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return put(of(o).epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return put(of(o).bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: return put(of(o).bias_type, value, bytes);
    default: return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* made) {
  *made = reinterpret_cast<cublasLtMatmulPreference_t>(new Preference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p) {
  delete &of(p);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p,
                                                    cublasLtMatmulPreferenceAttributes_t name, const void* value,
                                                    std::size_t bytes) {
  switch (name) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return put(of(p).workspace_bytes, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: return put(of(p).schemes, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES: return put(of(p).alignment[0], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES: return put(of(p).alignment[1], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES: return put(of(p).alignment[2], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: return put(of(p).alignment[3], value, bytes);
    default: return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t op,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t wanted, int most,
                                              cublasLtMatmulHeuristicResult_t* results, int* count) {
  if (handle != reinterpret_cast<cublasLtHandle_t>(&the_handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (most < 1) return CUBLAS_STATUS_INVALID_VALUE;
  const Problem problem{of(op), of(a), of(b), of(c), of(d)};
  if (const cublasStatus_t status = verdict(problem); status != CUBLAS_STATUS_SUCCESS) return status;
  const std::vector<Algorithm> list = algorithms(problem, of(wanted));
  *count = std::min(most, static_cast<int>(list.size()) + 1);
  for (int k = 0; k < *count; ++k) {
    results[k] = {};
    results[k].state = CUBLAS_STATUS_NOT_SUPPORTED;  // the first
    if (k == 0) continue;
    const Algorithm& algorithm = list[static_cast<std::size_t>(k) - 1];
    std::memcpy(&results[k].algo, &algorithm, sizeof algorithm);
    results[k].workspaceSize = algorithm.workspace_bytes, results[k].state = CUBLAS_STATUS_SUCCESS;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t name, void* value,
                                                    std::size_t bytes, std::size_t* written) {
  const Algorithm a = algorithm_of(algo);
  switch (name) {
    case CUBLASLT_ALGO_CONFIG_ID: return get(a.id, value, bytes, written);
    case CUBLASLT_ALGO_CONFIG_SPLITK_NUM: return get(a.splits, value, bytes, written);
    case CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME: return get(a.scheme, value, bytes, written);
    case CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID:
    case CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID: return get(std::uint16_t{0}, value, bytes, written);
    default: return get(std::uint32_t{0}, value, bytes, written);
  }
}

cublasStatus_t cublasLtMatmulAlgoCapGetAttribute(const cublasLtMatmulAlgo_t* algo,
                                                 cublasLtMatmulAlgoCapAttributes_t name, void* value, std::size_t bytes,
                                                 std::size_t* written) {
  if (name != CUBLASLT_ALGO_CAP_NUMERICAL_IMPL_FLAGS) return CUBLAS_STATUS_NOT_SUPPORTED;
  return get(algorithm_of(algo).arithmetic, value, bytes, written);
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t op, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                              const void* beta, const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo, void* workspace,
                              std::size_t workspace_bytes, cudaStream_t stream) {
  if (handle != reinterpret_cast<cublasLtHandle_t>(&the_handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  const Problem problem{of(op), of(a_layout), of(b_layout), of(c_layout), of(d_layout)};
  if (const cublasStatus_t status = verdict(problem); status != CUBLAS_STATUS_SUCCESS) return status;
  if (!alpha || !beta || !a || !b || !d || !algo) return CUBLAS_STATUS_INVALID_VALUE;
  const float scale = *static_cast<const float*>(alpha), of_c = *static_cast<const float*>(beta);
  if (of_c != 0 && !c) return CUBLAS_STATUS_INVALID_VALUE;
  if (c == d && !(problem.c == problem.d)) return CUBLAS_STATUS_INVALID_VALUE;  // in place they must be one
  const Algorithm chosen = algorithm_of(algo);
  if (chosen.problem != problem.number()) return CUBLAS_STATUS_INVALID_VALUE;
  if (workspace_bytes < chosen.workspace_bytes || (chosen.workspace_bytes && !workspace) || !aligned(workspace, 256))
    return CUBLAS_STATUS_INVALID_VALUE;
  const std::pair<const void*, const Layout*> maps[] = {
      {a, &problem.a}, {b, &problem.b}, {c, &problem.c}, {d, &problem.d}};
  for (int k = 0; k < 4; ++k) {  // as was promised to the heuristics
    const auto& [address, l] = maps[k];
    const bool steps = l->ld * l->element_bytes() % 16 == 0 && l->batch_step * l->element_bytes() % 16 == 0;
    if (!aligned(address, chosen.alignment[k]) || !steps) return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (problem.has_bias() && !aligned(problem.op.bias, chosen.bias_alignment)) return CUBLAS_STATUS_NOT_SUPPORTED;

  (void)cudaStreamSynchronize(nullptr);  // copies may still be on their way
  (void)cudaStreamSynchronize(stream);
  if (workspace) std::memset(workspace, 0x7f, chosen.workspace_bytes);
  multiply(problem, scale, a, b, of_c, c, d);
  return CUBLAS_STATUS_SUCCESS;
}
