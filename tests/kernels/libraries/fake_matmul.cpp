// The stand-in's heuristics and its multiplication: on the host, in double, by the descriptors and nothing else.
#include <algorithm>
#include <cmath>

#include "engine/tensor.hpp"
#include "tests/kernels/libraries/fake_cublaslt.hpp"

namespace fake {

using namespace fathom;

// "Datatypes supported" of cublasLtMatmul(): compute type, A and B, C and D; the bias is of D's type.
bool types_supported(const Problem& p) {
  const bool tf32 = p.op.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  if ((!tf32 && p.op.compute != CUBLAS_COMPUTE_32F) || p.op.scale != CUDA_R_32F) return false;
  if (p.a.type != p.b.type || p.c.type != p.d.type) return false;
  const bool halves = p.a.type == CUDA_R_16F && (p.d.type == CUDA_R_16F || p.d.type == CUDA_R_32F);
  if (!(halves && !tf32) && !(p.a.type == CUDA_R_32F && p.d.type == CUDA_R_32F)) return false;
  return !p.has_bias() || p.op.bias_type == -1 || p.op.bias_type == static_cast<std::int32_t>(p.d.type);
}

cublasStatus_t verdict(const Problem& p) {
  if (p.k() != p.k_of_b() || p.m() != p.d.rows || p.n() != p.d.columns) return CUBLAS_STATUS_INVALID_VALUE;
  if (p.c.rows != p.d.rows || p.c.columns != p.d.columns || p.c.order != p.d.order) return CUBLAS_STATUS_INVALID_VALUE;
  for (const Layout* l : {&p.a, &p.b, &p.c, &p.d}) {
    const bool by_columns = l->order == CUBLASLT_ORDER_COL;
    if (!by_columns && l->order != CUBLASLT_ORDER_ROW) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (l->ld < static_cast<std::int64_t>(by_columns ? l->rows : l->columns)) return CUBLAS_STATUS_INVALID_VALUE;
    if (l->batch < 1 || l->batch != p.d.batch) return CUBLAS_STATUS_INVALID_VALUE;
  }
  const auto known = {CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_RELU, CUBLASLT_EPILOGUE_BIAS,
                      CUBLASLT_EPILOGUE_RELU_BIAS};
  if (std::count(known.begin(), known.end(), p.op.epilogue) == 0) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (p.op.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS && p.d.order == CUBLASLT_ORDER_ROW)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (p.has_bias() && !p.op.bias) return CUBLAS_STATUS_INVALID_VALUE;
  return types_supported(p) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

double load(const void* data, cudaDataType type, std::int64_t at) {
  if (type == CUDA_R_16F) return half_to_float(static_cast<const std::uint16_t*>(data)[at]);
  return static_cast<const float*>(data)[at];
}

double tf32(double x) {  // 10 bits of fraction
  int exponent = 0;
  const double fraction = std::frexp(x, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(fraction, 11)), exponent - 11);
}

void multiply(const Problem& p, float alpha, const void* a, const void* b, float beta, const void* c, void* d) {
  const bool rounds = p.op.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  const auto value = [&](const Layout& l, const void* data, bool transposed, std::int64_t batch, std::int64_t row,
                         std::int64_t column) {
    const double x = load(data, l.type, transposed ? l.at(batch, column, row) : l.at(batch, row, column));
    return rounds ? tf32(x) : x;
  };
  const auto m = static_cast<std::int64_t>(p.m()), n = static_cast<std::int64_t>(p.n()),
             k = static_cast<std::int64_t>(p.k());
  for (std::int64_t batch = 0; batch < p.d.batch; ++batch)
    for (std::int64_t j = 0; j < n; ++j)
      for (std::int64_t i = 0; i < m; ++i) {
        double sum = 0;
        for (std::int64_t s = 0; s < k; ++s)
          sum += value(p.a, a, p.transposed(false), batch, i, s) * value(p.b, b, p.transposed(true), batch, s, j);
        double y = alpha * sum;
        if (beta != 0) y += beta * load(c, p.c.type, p.c.at(batch, i, j));
        if (p.has_bias()) y += load(p.op.bias, p.d.type, i);
        if (p.op.epilogue & CUBLASLT_EPILOGUE_RELU) y = std::max(y, 0.0);
        const std::int64_t to = p.d.at(batch, i, j);
        if (p.d.type == CUDA_R_16F)
          static_cast<std::uint16_t*>(d)[to] = float_to_half(static_cast<float>(y));
        else
          static_cast<float*>(d)[to] = static_cast<float>(y);
      }
}

// The likeliest first; some that ask to be passed over.
std::vector<Algorithm> algorithms(const Problem& p, const Preference& wanted) {
  const bool halves = p.a.type == CUDA_R_16F, rounds = p.op.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  const std::uint64_t exact =
      CUBLASLT_NUMERICAL_IMPL_FLAGS_ACCUMULATOR_32F | (halves   ? CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16F
                                                       : rounds ? CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_TF32
                                                                : CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_32F);
  const std::uint64_t rough =
      halves ? CUBLASLT_NUMERICAL_IMPL_FLAGS_ACCUMULATOR_16F | CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16F
             : CUBLASLT_NUMERICAL_IMPL_FLAGS_ACCUMULATOR_32F |
                   (rounds ? CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16F : CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_TF32);
  const std::int32_t plain = p.d.batch > 1 ? 2 : 1;
  std::vector<Algorithm> list{
      {.id = 7, .splits = 4, .scheme = CUBLASLT_REDUCTION_SCHEME_INPLACE, .arithmetic = exact},
      {.id = 8, .splits = 4, .scheme = CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE, .arithmetic = exact},
      {.id = 9, .arithmetic = rough},
      {.id = plain, .arithmetic = exact},
      {.id = plain, .arithmetic = exact},  // once more
      {.id = plain, .arithmetic = exact, .workspace_bytes = std::uint64_t{1} << 30},
      {.id = plain,
       .splits = 2,
       .scheme = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE,
       .arithmetic = exact,
       .workspace_bytes = 1000},
  };
  std::erase_if(list, [&](const Algorithm& a) {
    return (a.scheme & wanted.schemes) != a.scheme || a.workspace_bytes > wanted.workspace_bytes;
  });
  // The bias's is that of the address which the operation has by now.
  const auto bias = reinterpret_cast<std::uintptr_t>(p.op.bias) | 256;
  for (Algorithm& a : list) {
    std::copy_n(wanted.alignment, 4, a.alignment);
    a.bias_alignment = static_cast<std::uint32_t>(bias & -bias), a.problem = p.number();
  }
  return list;
}

}  // namespace fake
