// 1x1 convolutions as products of matrices by cuBLASLt: Y = act(W X + b + R). Its matrices are column-major, and so is
// a channels-last map: (channels, pixels), a pixel's channels side by side, the leading dimension a pixel's stride.
//
// Of all this the real library has taken the descriptors (they need no GPU); what they mean was tried on a stand-in for
// it (tests/kernels/libraries/fake_cublaslt.cpp). It has not been run.
#include <cublasLt.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "engine/module_abi.hpp"
#include "fathom/error.hpp"
#include "kernels/libraries/conv_library.hpp"

namespace fathom {

namespace {

using Type = LibraryConv::Type;

// What NVIDIA recommends for an H100; nothing that wants more is asked for.
constexpr std::uint64_t most_workspace_bytes = std::uint64_t{32} << 20;

void check(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(ErrorKind::device, std::string("cuBLASLt: ") + what + ": " + cublasLtGetStatusString(status));
}

// ---- a convolution as a product

// `columns` pixels beside each other, `batch` times over.
struct Product {
  using Steps = std::array<std::int64_t, 3>;  // of x, the residual and y, in elements

  std::int64_t columns = 1, batch = 1;
  Steps pixel{}, image{};  // from a column to the next, from one of the batch to the next
};

// Pixels that lie equally far apart in all maps are one row: mostly all there are. Where a stride or a gap is in
// between, rows of the maps, or images, are a batch. Nothing where they lie otherwise.
std::optional<Product> product_of(const LibraryConv& p) {
  if (p.kernel_h != 1 || p.kernel_w != 1 || p.groups != 1) return {};
  if (p.top || p.left || p.bottom || p.right) return {};
  struct Run {
    std::int64_t count;
    Product::Steps step;
  };
  const auto along = [&](std::size_t axis, std::int64_t stride) {
    return Run{p.y[axis], {p.x_stride[axis] * stride, p.residual_stride[axis], p.y_stride[axis]}};
  };
  std::vector<Run> runs{along(3, p.stride_w)};
  for (const Run& next : {along(2, p.stride_h), along(0, 1)}) {
    Run& last = runs.back();
    Product::Steps end = last.step;
    for (std::int64_t& step : end) step *= last.count;
    if (next.count == 1) continue;
    if (last.count == 1)
      last = next;
    else if (end == next.step)
      last.count *= next.count;
    else
      runs.push_back(next);
  }
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  if (runs.size() > 2 || runs.back().count > most || runs.front().count > most) return {};
  Product product{.columns = runs[0].count, .pixel = runs[0].step};
  if (runs.size() > 1) product.batch = runs[1].count, product.image = runs[1].step;
  const auto& [x, residual, y] = product.pixel;
  if (x < p.x[1] || y < p.y[1] || (p.residual && residual < p.y[1])) return {};  // columns that overlap
  return product;
}

// ---- descriptors

template <class Handle>
using Owned = std::shared_ptr<std::remove_pointer_t<Handle>>;

Owned<cublasLtMatrixLayout_t> layout(cudaDataType_t type, std::int64_t rows, std::int64_t columns, std::int64_t ld,
                                     std::int64_t batch, std::int64_t step) {
  cublasLtMatrixLayout_t made = nullptr;
  check(cublasLtMatrixLayoutCreate(&made, type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns),
                                   ld),
        "a layout");
  Owned<cublasLtMatrixLayout_t> owned(made, [](auto* d) { (void)cublasLtMatrixLayoutDestroy(d); });
  const auto count = static_cast<std::int32_t>(batch);
  check(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count), "a batch");
  check(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof step),
        "a batch's step");
  return owned;
}

// Of one problem; they do not change once they are made. D = epilogue(op(A) B + beta C + bias): A the weights, which
// are (outputs, inputs) with inputs side by side and so transposed, B x, C the residual, D y.
struct Descriptors {
  Descriptors(const LibraryConv& p, const Product& product)
      : type(p.type), epilogue(epilogue_of(p)), beta(p.residual ? 1.f : 0.f) {
    const std::int64_t outputs = p.y[1], inputs = p.x[1], batch = product.batch;
    const auto map = [&](std::int64_t channels, std::size_t which) {
      return layout(map_type(), channels, product.columns, product.pixel[which], batch, product.image[which]);
    };
    a = layout(map_type(), inputs, outputs, inputs, batch, 0);
    b = map(inputs, 0);
    d = map(outputs, 2);
    c = p.residual ? map(outputs, 1) : d;
  }

  cudaDataType_t map_type() const { return type == Type::half ? CUDA_R_16F : CUDA_R_32F; }

  // With the bias's address, which is part of it.
  Owned<cublasLtMatmulDesc_t> operation(const void* bias) const {
    cublasLtMatmulDesc_t made = nullptr;
    const cublasComputeType_t compute = type == Type::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    check(cublasLtMatmulDescCreate(&made, compute, CUDA_R_32F), "an operation");
    Owned<cublasLtMatmulDesc_t> owned(made, [](auto* o) { (void)cublasLtMatmulDescDestroy(o); });
    const auto set = [&](cublasLtMatmulDescAttributes_t name, const auto& value) {
      check(cublasLtMatmulDescSetAttribute(made, name, &value, sizeof value), "an operation's attribute");
    };
    set(CUBLASLT_MATMUL_DESC_TRANSA, std::int32_t{CUBLAS_OP_T});
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, static_cast<std::uint32_t>(epilogue));
    if (epilogue & CUBLASLT_EPILOGUE_BIAS) {
      set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
      set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, static_cast<std::int32_t>(map_type()));  // none but D's is allowed
    }
    return owned;
  }

  static cublasLtEpilogue_t epilogue_of(const LibraryConv& p) {
    if (p.relu) return p.bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
    return p.bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  }

  Type type;
  cublasLtEpilogue_t epilogue;
  float beta;
  Owned<cublasLtMatrixLayout_t> a, b, c, d;
};

// What is asked of the heuristics. Parts of a sum that was split are added in float32 from the workspace, in a step of
// its own. (In place they would be added in the maps' type, by whoever comes next.)
Owned<cublasLtMatmulPreference_t> preference() {
  cublasLtMatmulPreference_t made = nullptr;
  check(cublasLtMatmulPreferenceCreate(&made), "preferences");
  Owned<cublasLtMatmulPreference_t> owned(made, [](auto* p) { (void)cublasLtMatmulPreferenceDestroy(p); });
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t name, const auto& value) {
    check(cublasLtMatmulPreferenceSetAttribute(made, name, &value, sizeof value), "a preference");
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, most_workspace_bytes);
  set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  for (const auto map : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
                         CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    set(map, std::uint32_t{16});
  return owned;
}

// ---- algorithms

template <class T>
T setting(const cublasLtMatmulAlgo_t& algo, cublasLtMatmulAlgoConfigAttributes_t name) {
  T value{};
  std::size_t written = 0;
  check(cublasLtMatmulAlgoConfigGetAttribute(&algo, name, &value, sizeof value, &written), "an algorithm's setting");
  return value;
}

// The same bits every time, and no less precise than the problem's type says.
bool acceptable(const cublasLtMatmulAlgo_t& algo, Type type) {
  const auto scheme = setting<std::uint32_t>(algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME);
  if (scheme != CUBLASLT_REDUCTION_SCHEME_NONE && scheme != CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE) return false;
  std::uint64_t flags = 0;
  std::size_t written = 0;
  check(
      cublasLtMatmulAlgoCapGetAttribute(&algo, CUBLASLT_ALGO_CAP_NUMERICAL_IMPL_FLAGS, &flags, sizeof flags, &written),
      "an algorithm's arithmetic");
  std::uint64_t refused = CUBLASLT_NUMERICAL_IMPL_FLAGS_ACCUMULATOR_16F | CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16BF;
  if (type != Type::half) refused |= CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16F;
  if (type == Type::float32) refused |= CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_TF32;
  return !(flags & refused);
}

// "cublaslt: algo 66, tile 20, stages 8, splits 1, scheme 0, swizzle 0, option 0, inner 0, cluster 2"
std::string name_of(const cublasLtMatmulAlgo_t& algo) {
  std::string text = "cublaslt: algo " + std::to_string(setting<std::int32_t>(algo, CUBLASLT_ALGO_CONFIG_ID));
  const auto add = [&](const char* what, auto value) {
    text += std::string(", ") + what + " " + std::to_string(value);
  };
  add("tile", setting<std::uint32_t>(algo, CUBLASLT_ALGO_CONFIG_TILE_ID));
  add("stages", setting<std::uint32_t>(algo, CUBLASLT_ALGO_CONFIG_STAGES_ID));
  add("splits", setting<std::int32_t>(algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM));
  add("scheme", setting<std::uint32_t>(algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME));
  add("swizzle", setting<std::uint32_t>(algo, CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING));
  add("option", setting<std::uint32_t>(algo, CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION));
  add("inner", setting<std::uint16_t>(algo, CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID));
  add("cluster", setting<std::uint16_t>(algo, CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID));
  return text;
}

// No lock: NVIDIA's documentation calls the library thread-safe, with one handle too, and nothing here changes the
// handle or, once they are made, descriptors. By the same documentation a version gives the same bits every time on
// GPUs of one kind where, as here, each stream has a workspace of its own.
class CublasLt final : public ConvLibrary {
 public:
  explicit CublasLt(bool runs) {
    if (!runs) return;
    cublasLtHandle_t made = nullptr;
    check(cublasLtCreate(&made), "it does not start");
    handle_ = {made, [](cublasLtHandle_t h) { (void)cublasLtDestroy(h); }};
  }

  std::string version() const override {
    const std::size_t v = cublasLtGetVersion();  // 130100
    return "cuBLASLt " + std::to_string(v / 10000) + "." + std::to_string(v / 100 % 100) + "." +
           std::to_string(v % 100);
  }

  std::vector<LibraryKernel> kernels(const LibraryConv& problem, int most) override {
    const std::optional<Product> product = product_of(problem);
    if (!product) return {};
    const auto descriptors = std::make_shared<const Descriptors>(problem, *product);
    const auto* const anywhere = reinterpret_cast<const void*>(std::uintptr_t{256});  // only its alignment is looked at
    const auto operation = descriptors->operation(anywhere);
    const auto wanted = preference();
    if (!handle_) return {};
    constexpr int looked_at = 32;
    cublasLtMatmulHeuristicResult_t found[looked_at] = {};
    int count = 0;
    const Descriptors& d = *descriptors;
    if (cublasLtMatmulAlgoGetHeuristic(handle_.get(), operation.get(), d.a.get(), d.b.get(), d.c.get(), d.d.get(),
                                       wanted.get(), looked_at, found, &count) != CUBLAS_STATUS_SUCCESS)
      return {};  // it has none for such a problem
    std::vector<LibraryKernel> list;
    for (int k = 0; k < count && std::ssize(list) < most; ++k) {
      const cublasLtMatmulHeuristicResult_t& result = found[k];
      if (result.state != CUBLAS_STATUS_SUCCESS || result.workspaceSize > most_workspace_bytes) continue;
      if (!acceptable(result.algo, problem.type)) continue;
      LibraryKernel kernel{.name = name_of(result.algo), .bias_as_maps = true};
      const auto same = [&](const LibraryKernel& other) { return other.name == kernel.name; };
      if (std::any_of(list.begin(), list.end(), same)) continue;
      kernel.workspace_bytes = static_cast<std::int64_t>(result.workspaceSize);
      kernel.run = [handle = handle_, descriptors, algo = result.algo, bytes = result.workspaceSize](
                       const LibraryData& data, void* stream) {
        run(handle.get(), *descriptors, algo, bytes, data, stream);
      };
      list.push_back(std::move(kernel));
    }
    return list;
  }

 private:
  static void run(cublasLtHandle_t handle, const Descriptors& d, const cublasLtMatmulAlgo_t& algo, std::size_t bytes,
                  const LibraryData& data, void* stream) {
    const float one = 1;
    const auto operation = d.operation(data.bias);
    check(cublasLtMatmul(handle, operation.get(), &one, data.weight, d.a.get(), data.x, d.b.get(), &d.beta,
                         data.residual ? data.residual : data.y, d.c.get(), data.y, d.d.get(), &algo,
                         bytes > 0 ? data.workspace : nullptr, bytes, static_cast<cudaStream_t>(stream)),
          "a convolution");
  }

  Owned<cublasLtHandle_t> handle_;  // null: nothing can run
};

ConvLibrary* open(const char* device_json) { return new CublasLt(!device_json); }

}  // namespace

}  // namespace fathom

extern "C" __attribute__((visibility("default"))) const fathom::LibraryModule* fathom_library_module() {
  static const std::string built_for = fathom::module_abi();
  static const fathom::LibraryModule module{built_for.c_str(), &fathom::open};
  return &module;
}
