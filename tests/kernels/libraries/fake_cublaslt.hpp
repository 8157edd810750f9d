// What the stand-in for cuBLASLt keeps of its descriptors, and what it makes of them.
#pragma once

#include <cublasLt.h>

#include <cstdint>
#include <vector>

namespace fake {

struct Layout {
  cudaDataType type;
  std::uint64_t rows, columns;
  std::int64_t ld;
  std::int32_t order = CUBLASLT_ORDER_COL, batch = 1;
  std::int64_t batch_step = 0;

  bool operator==(const Layout&) const = default;
  std::int64_t element_bytes() const { return type == CUDA_R_16F ? 2 : 4; }
  std::int64_t at(std::int64_t n, std::int64_t row, std::int64_t column) const {
    return n * batch_step + (order == CUBLASLT_ORDER_COL ? row + column * ld : row * ld + column);
  }
};

struct Operation {
  cublasComputeType_t compute;
  cudaDataType_t scale;
  std::int32_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N, bias_type = -1;
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
};

struct Preference {
  std::uint64_t workspace_bytes = 0;
  std::uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_MASK;
  std::uint32_t alignment[4] = {256, 256, 256, 256};  // of A, B, C, D
};

// What cublasLtMatmulAlgo_t holds.
struct Algorithm {
  std::int32_t id = 0, splits = 1;
  std::uint32_t scheme = CUBLASLT_REDUCTION_SCHEME_NONE;
  std::uint32_t alignment[4] = {}, bias_alignment = 0;  // as they were promised
  std::uint64_t arithmetic = 0, workspace_bytes = 0, problem = 0;
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

struct Problem {
  const Operation& op;
  const Layout &a, &b, &c, &d;

  bool transposed(bool of_b) const { return (of_b ? op.transpose_b : op.transpose_a) == CUBLAS_OP_T; }
  std::uint64_t m() const { return transposed(false) ? a.columns : a.rows; }
  std::uint64_t k() const { return transposed(false) ? a.rows : a.columns; }
  std::uint64_t n() const { return transposed(true) ? b.rows : b.columns; }
  std::uint64_t k_of_b() const { return transposed(true) ? b.columns : b.rows; }
  bool has_bias() const { return op.epilogue & CUBLASLT_EPILOGUE_BIAS; }
  std::uint64_t number() const {  // of what an algorithm was chosen for
    return ((m() * 31 + n()) * 31 + k()) * 31 + static_cast<std::uint64_t>(d.batch) * 8 + op.epilogue;
  }
};

cublasStatus_t verdict(const Problem& p);
std::vector<Algorithm> algorithms(const Problem& p, const Preference& wanted);
void multiply(const Problem& p, float alpha, const void* a, const void* b, float beta, const void* c, void* d);

}  // namespace fake
