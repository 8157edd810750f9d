// Convolutions by NVIDIA's libraries, where they are; on the emulator by what stands in their place.
#include <set>

#include "engine/cuda/libraries.hpp"
#include "tests/engine/temporary.hpp"
#include "tests/kernels/cuda/held_case.hpp"

namespace fathom::test {

namespace {

using Names = std::set<std::string>;

// Prepares by one of the libraries' kernels.
struct ByLibrary {
  CudaBackend& cuda;
  std::size_t which = 0;
};
template <class O>
Step prepare(const O& op, const NodeIo& io, ByLibrary& backend) {
  if constexpr (std::is_same_v<O, Conv2d>) {
    const std::vector<Step> steps = library_steps(op, io, backend.cuda);
    if (backend.which < steps.size()) return steps[backend.which];
  }
  throw Error(ErrorKind::unsupported, "no library has it");
}

Case case_of(const std::string& name, const Conv2d& op, std::vector<Desc> in, Desc weight) {
  in.push_back(weight);
  if (op.bias) in.push_back(Desc::dense({weight.extent[0]}));
  return {"library/" + name, op, std::move(in)};
}

template <class... E>
Desc map(E... extent) {
  return Desc::nhwc(extent...);
}
template <class... E>
Desc weight(E... extent) {
  return Desc::dense({extent...});
}

const Activation relu{ActivationKind::relu};

// That are no product of matrices.
std::vector<Case> wide_table() {
  const Conv2d dilated{.stride = {2, 1}, .padding = 2, .dilation = {1, 2}};
  return {
      case_of("3x3", {.padding = {1, 2, 0, 1}, .bias = true, .activation = relu}, {map(2, 16, 7, 9)},
              weight(24, 16, 3, 3)),
      case_of("stride_2_dilated", dilated, {map(1, 8, 11, 12)}, weight(8, 8, 5, 3)),
      case_of("groups", {.padding = 1, .groups = 4}, {map(1, 32, 6, 5)}, weight(64, 8, 3, 3)),
      case_of("1x1_groups", {.groups = 2}, {map(1, 32, 6, 5)}, weight(16, 16, 1, 1)),
      case_of("1x1_padded", {.padding = 1, .bias = true}, {map(1, 16, 3, 5)}, weight(8, 16, 1, 1)),
      case_of("rows_and_images", {.stride = {3, 2}}, {map(2, 8, 7, 9)}, weight(8, 8, 1, 1)),
  };
}

// That are.
std::vector<Case> product_table() {
  const std::vector<Desc> x{map(2, 24, 5, 6)}, with_residual{map(2, 24, 5, 6), map(2, 16, 5, 6)};
  const Desc w = weight(16, 24, 1, 1);
  std::vector<Desc> apart = with_residual;  // its pixels further apart than those of the output
  apart[1].stride = {40 * 5 * 6, 1, 40 * 6, 40};
  return {
      case_of("1x1", {}, x, w),
      case_of("1x1_bias", {.bias = true}, x, w),
      case_of("1x1_relu", {.activation = relu}, x, w),
      case_of("1x1_bias_relu", {.bias = true, .activation = relu}, x, w),
      case_of("1x1_residual", {.bias = true, .residual = true, .activation = relu}, with_residual, w),
      case_of("1x1_residual_alone", {.residual = true}, with_residual, w),
      case_of("1x1_residual_apart", {.residual = true}, apart, w),
      case_of("1x1_one_pixel", {.bias = true, .activation = relu}, {map(1, 8, 1, 1)}, weight(40, 8, 1, 1)),
      case_of("1x1_one_column", {.bias = true}, {map(3, 8, 5, 1)}, weight(16, 8, 1, 1)),
  };
}

// Whose pixels lie in rows apart.
std::vector<Case> strided_table() {
  const Conv2d branch{.stride = 2, .bias = true, .residual = true, .activation = relu};
  return {
      case_of("1x1_stride_2", {.stride = 2, .bias = true}, {map(1, 16, 7, 9)}, weight(24, 16, 1, 1)),
      case_of("1x1_stride_2_even", branch, {map(3, 16, 8, 6), map(3, 24, 4, 3)}, weight(24, 16, 1, 1)),
      case_of("1x1_stride_rows", {.stride = {2, 1}}, {map(2, 8, 6, 5)}, weight(16, 8, 1, 1)),
  };
}

// A case by every kernel that libraries have for it, held against the reference: their names.
Names kernels_by_library(const Case& c, Precision precision, const RunOptions& options = {}) {
  const HeldCase held(c, precision);
  CudaBackend cuda(GpuInfo::current(), precision);
  Names names;
  for (ByLibrary backend{cuda};; ++backend.which) {
    try {
      const bool another = names.insert(held.kernel(backend, options)).second;
      CHECK(another);
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::unsupported) throw;
      return names;
    }
  }
}

constexpr Precision all_precisions[] = {Precision::fp32, Precision::tf32, Precision::fp16};
const RunOptions in_a_wider_map{.lead = 8, .tail = 16};

#if defined FATHOM_STAND_IN || defined FATHOM_STAND_IN_CUBLASLT
struct Modules {
  explicit Modules(const std::string& paths) { setenv("FATHOM_LIBRARY_MODULE", paths.c_str(), 1); }
  ~Modules() { unsetenv("FATHOM_LIBRARY_MODULE"); }
};
#endif

#ifdef FATHOM_STAND_IN_CUBLASLT
// The likeliest, and one that splits sums. Rows of pixels that lie apart are a batch.
Names products_of(int algo) {
  const std::string begin = "cublaslt: algo " + std::to_string(algo) + ", tile 0, stages 0, splits ";
  return {begin + "1, scheme 0, swizzle 0, option 0, inner 0, cluster 0",
          begin + "2, scheme 2, swizzle 0, option 0, inner 0, cluster 0"};
}
#endif

}  // namespace

TEST_CASE("cuda: what a library runs equals the reference", "[cuda]") {
#ifdef FATHOM_STAND_IN
  const Modules chosen(FATHOM_STAND_IN);
#endif
  const OpenedLibraries found = open_conv_libraries();
  Names seen;
  for (const Precision precision : all_precisions)
    for (const auto& table : {wide_table(), product_table(), strided_table()})
      for (const Case& c : table) {
        seen.merge(kernels_by_library(c, precision));
        seen.merge(kernels_by_library(c, precision, in_a_wider_map));
      }
  if (found.list.empty()) std::printf("skipped: no library: %s\n", found.missing.c_str());
  for (const std::string& name : seen) std::printf("%s\n", name.c_str());
#ifdef FATHOM_STAND_IN
  CHECK(seen == Names{"stand-in: loops"});
#else
  for (const auto& library : found.list) {  // each that is there has some
    const std::string begin = library->version().starts_with("cuDNN") ? "cudnn:" : "cublaslt:";
    INFO(library->version());
    CHECK(std::any_of(seen.begin(), seen.end(), [&](const std::string& name) { return name.starts_with(begin); }));
  }
#endif
}

#ifdef FATHOM_STAND_IN
TEST_CASE("cuda: a library is a choice where kernels are timed, and gets nothing that it does not know", "[cuda]") {
  const Modules chosen(FATHOM_STAND_IN);
  const Conv2d elu{.activation = {ActivationKind::elu}};
  CHECK(kernels_by_library(case_of("elu", elu, {map(1, 8, 4, 4)}, weight(8, 8, 1, 1)), Precision::fp32).empty());
  const TemporaryFolder folder;
  const std::string path = folder / "choices.txt";
  const Case c = wide_table()[0];
  kernel_by(c, Precision::fp32, path);
  std::string text = contents(path);
  CHECK(text.find("; beside stand-in\t") != std::string::npos);  // with other libraries it is another problem
  if (const std::size_t choice = text.find("\tgemm: ") + 1; choice > 0)
    text.replace(choice, text.find('\t', choice) - choice, "stand-in: loops");
  write(path, text);
  CHECK(kernel_by(c, Precision::fp32, path) == "stand-in: loops");

  // Who only plans sees the same choice, and counts what it would pack.
  CudaBackend plans(GpuInfo::current(), Precision::fp32, Constants::left_out,
                    std::make_shared<Tuning>(path, "this GPU"));
  NodeIo io{.name = "planned"};
  for (std::size_t k = 0; k < c.in.size(); ++k) {
    io.in.push_back({static_cast<int>(k), c.in[k], "in" + std::to_string(k), nullptr});
    if (k >= data_inputs(c.op, c.in.size())) io.in.back().constant = Constant::of(c.in[k], values_of(c)[k]);
  }
  io.out = {static_cast<int>(c.in.size()), infer(c.op, c.in), "out", nullptr};
  const Step step = fathom::prepare(std::get<Conv2d>(c.op), io, plans);
  CHECK(step.kernel == "stand-in: loops");
  CHECK(plans.packed_bytes() == (24 * 16 * 3 * 3 + 24) * 4);
}
#endif

#ifdef FATHOM_STAND_IN_CUBLASLT
TEST_CASE("cuda: the products that cuBLASLt is asked for are the convolutions", "[cuda]") {
  const Modules chosen(FATHOM_STAND_IN_CUBLASLT);
  for (const Precision precision : all_precisions)
    for (const RunOptions& options : {RunOptions{}, in_a_wider_map}) {
      for (const Case& c : product_table()) CHECK(kernels_by_library(c, precision, options) == products_of(1));
      for (const Case& c : strided_table()) CHECK(kernels_by_library(c, precision, options) == products_of(2));
      for (const Case& c : wide_table()) {
        INFO(c.name);
        CHECK(kernels_by_library(c, precision, options).empty());
      }
    }
}

TEST_CASE("cuda: each library may be missing, and all that are there are choices", "[cuda]") {
  const Case c = product_table()[4];
  const TemporaryFolder folder;
  const auto beside = [&](const std::string& paths) {
    const Modules chosen(paths);
    const std::string path = folder / (std::to_string(std::hash<std::string>()(paths)) + ".txt");
    kernel_by(c, Precision::fp16, path);
    return contents(path);
  };
  const std::string both = std::string(FATHOM_STAND_IN) + ":" + FATHOM_STAND_IN_CUBLASLT;
  CHECK(beside(both).find("; beside stand-in, cuBLASLt 99.7.4\t") != std::string::npos);
  CHECK(beside("/nowhere/a.so:" FATHOM_STAND_IN_CUBLASLT).find("; beside cuBLASLt 99.7.4\t") != std::string::npos);
  CHECK(beside("none").find("; beside") == std::string::npos);
  {
    const Modules chosen("/nowhere/a.so:" FATHOM_STAND_IN_CUBLASLT);
    CHECK_THAT(open_conv_libraries().missing, says("/nowhere/a.so is not there"));
    CHECK(open_conv_libraries().list.size() == 1);
  }
  const Modules chosen(both);
  Names all = products_of(1);
  all.insert("stand-in: loops");
  CHECK(kernels_by_library(c, Precision::fp16) == all);
}
#endif

}  // namespace fathom::test
