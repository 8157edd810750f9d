// Convolutions by cuDNN's graph interface (version 9): convolution, bias, residual and ReLU as one graph, whose engines
// are those that cuDNN's heuristics put first.
#include <cudnn.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "engine/module_abi.hpp"
#include "fathom/error.hpp"
#include "kernels/libraries/conv_library.hpp"

namespace fathom {

namespace {

void check(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char text[512] = {};
  cudnnGetLastErrorString(text, sizeof text);
  throw Error(ErrorKind::device, std::string("cuDNN: ") + what + ": " + cudnnGetErrorString(status) +
                                     (text[0] ? std::string(" (") + text + ")" : ""));
}

// One descriptor of the graph interface: attributes are set, then it is finished.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    cudnnBackendDescriptor_t made = nullptr;
    check(cudnnBackendCreateDescriptor(type, &made), "a descriptor");
    owned_ = {made, [](void* d) { (void)cudnnBackendDestroyDescriptor(d); }};
  }
  cudnnBackendDescriptor_t get() const { return owned_.get(); }

  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count,
                  const void* values) {
    check(cudnnBackendSetAttribute(get(), name, type, count, values), "an attribute");
    return *this;
  }
  template <class T>
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const T& value) {
    return set(name, type, 1, &value);
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& other) {
    return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, other.get());
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const std::vector<std::int64_t>& values) {
    return set(name, CUDNN_TYPE_INT64, std::ssize(values), values.data());
  }
  Descriptor& finish() {
    check(cudnnBackendFinalize(get()), "a graph that is not for it");
    return *this;
  }
  bool finishes() { return cudnnBackendFinalize(get()) == CUDNN_STATUS_SUCCESS; }

  template <class T>
  T value(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type) const {
    T value{};
    std::int64_t count = 0;
    check(cudnnBackendGetAttribute(get(), name, type, 1, &count, &value), "an attribute's value");
    return value;
  }
  template <class T>
  std::vector<T> values(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t most) const {
    std::vector<T> list(static_cast<std::size_t>(most));
    std::int64_t count = 0;
    check(cudnnBackendGetAttribute(get(), name, type, most, &count, list.data()), "an attribute's values");
    list.resize(static_cast<std::size_t>(std::clamp<std::int64_t>(count, 0, most)));
    return list;
  }
  // Values that are descriptors themselves, read into ones of that type.
  std::vector<Descriptor> descriptors(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type,
                                      std::int64_t most) const {
    std::vector<Descriptor> list;
    std::vector<cudnnBackendDescriptor_t> raw;
    for (std::int64_t k = 0; k < most; ++k) raw.push_back(list.emplace_back(type).get());
    std::int64_t count = 0;
    check(cudnnBackendGetAttribute(get(), name, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, &count, raw.data()), "its parts");
    list.erase(list.begin() + std::clamp<std::int64_t>(count, 0, most), list.end());
    return list;
  }

 private:
  std::shared_ptr<void> owned_;
};

enum Uid : std::int64_t { x_uid = 1, weight_uid, bias_uid, residual_uid, y_uid, between_uid };

using Four = LibraryConv::Four;

Descriptor tensor(std::int64_t uid, cudnnDataType_t type, const Four& extent, const Four& stride,
                  bool between = false) {
  Descriptor d(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  d.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, uid)
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type)
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, std::int64_t{16})
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, extent.data())
      .set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, stride.data())
      .set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, between);
  return d.finish();
}

Four channels_last(const Four& e) { return {e[1] * e[2] * e[3], 1, e[3] * e[1], e[1]}; }

// The operations, each reading what the one before it made.
class Operations {
 public:
  explicit Operations(const LibraryConv& p) : p_(p) {
    const int last = p.relu ? 3 : p.residual ? 2 : p.bias ? 1 : 0;
    Descriptor sum = made(0, last);
    convolution(sum);
    const auto then = [&](int place, cudnnPointwiseMode_t mode, const Descriptor* other) {
      Descriptor next = made(place, last);
      pointwise(mode, sum, other, next);
      sum = next;
    };
    if (p.bias) {
      const Four extent{1, p.y[1], 1, 1};
      const Descriptor bias = tensor(bias_uid, CUDNN_DATA_FLOAT, extent, channels_last(extent));
      then(1, CUDNN_POINTWISE_ADD, &bias);
    }
    if (p.residual) {
      const Descriptor residual = tensor(residual_uid, type(), p.y, p.residual_stride);
      then(2, CUDNN_POINTWISE_ADD, &residual);
    }
    if (p.relu) then(3, CUDNN_POINTWISE_RELU_FWD, nullptr);
  }
  const std::vector<Descriptor>& list() const { return list_; }

 private:
  cudnnDataType_t type() const { return p_.type == LibraryConv::Type::half ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT; }

  Descriptor made(int place, int last) const {
    if (place == last) return tensor(y_uid, type(), p_.y, p_.y_stride);
    return tensor(between_uid + place, CUDNN_DATA_FLOAT, p_.y, channels_last(p_.y), true);
  }

  void convolution(const Descriptor& y) {
    Descriptor how(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    how.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, std::int64_t{2})
        .set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
        .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, CUDNN_CROSS_CORRELATION)
        .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, {p_.top, p_.left})
        .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, {p_.bottom, p_.right})
        .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, {p_.dilation_h, p_.dilation_w})
        .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, {p_.stride_h, p_.stride_w})
        .finish();
    const Four extent{p_.y[1], p_.x[1] / p_.groups, p_.kernel_h, p_.kernel_w};
    Descriptor op(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, tensor(x_uid, type(), p_.x, p_.x_stride))
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, tensor(weight_uid, type(), extent, channels_last(extent)))
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y)
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, how)
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1.0f)
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 0.0f);
    list_.push_back(op.finish());
  }

  void pointwise(cudnnPointwiseMode_t mode, const Descriptor& x, const Descriptor* other, const Descriptor& y) {
    Descriptor how(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    how.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode)
        .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
        .finish();
    Descriptor op(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    op.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    if (other) op.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *other);
    list_.push_back(op.finish());
  }

  const LibraryConv& p_;
  std::vector<Descriptor> list_;
};

bool acceptable(const Descriptor& engine, LibraryConv::Type type) {
  for (const auto note : engine.values<cudnnBackendNumericalNote_t>(
           CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT)) {
    if (note == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC || note == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)
      return false;
    const bool rounds = note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE || note == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS;
    if (rounds && type == LibraryConv::Type::float32) return false;
  }
  return true;
}

// "cudnn: engine 42, 1=2 3=0": an engine and the settings of its knobs.
std::string name_of(const Descriptor& config, const Descriptor& engine) {
  std::string text =
      "cudnn: engine " + std::to_string(engine.value<std::int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64));
  char between = ',';
  for (const Descriptor& knob : config.descriptors(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                                                   CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, CUDNN_KNOB_TYPE_COUNTS)) {
    const auto type = knob.value<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE);
    const auto value = knob.value<std::int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64);
    text += std::exchange(between, ' ') == ',' ? ", " : " ";
    text += std::to_string(static_cast<int>(type)) + "=" + std::to_string(value);
  }
  return text;
}

class Cudnn final : public ConvLibrary {
 public:
  explicit Cudnn(const char* device_json) {
    if (device_json) {
      device_.emplace_back(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR)
          .set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
               static_cast<std::int64_t>(std::char_traits<char>::length(device_json)) + 1, device_json)
          .finish();
    } else {
      cudnnHandle_t made = nullptr;
      check(cudnnCreate(&made), "it does not start");
      handle_ = {made, [](cudnnHandle_t h) { (void)cudnnDestroy(h); }};
    }
  }

  std::string version() const override {
    const std::size_t v = cudnnGetVersion();  // 91900
    return "cuDNN " + std::to_string(v / 10000) + "." + std::to_string(v / 100 % 100) + "." + std::to_string(v % 100);
  }

  std::vector<LibraryKernel> kernels(const LibraryConv& problem, int most) override {
    const std::lock_guard lock(mutex_);
    const Operations operations(problem);
    std::vector<cudnnBackendDescriptor_t> raw;
    for (const Descriptor& op : operations.list()) raw.push_back(op.get());
    Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, std::ssize(raw), raw.data());
    on_device(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, {});
    graph.finish();

    Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
        .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, CUDNN_HEUR_MODE_A);
    on_device(heuristics, {}, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP);
    if (!heuristics.finishes()) return {};  // no engine has such a graph
    constexpr std::int64_t looked_at = 32;
    std::vector<LibraryKernel> list;
    for (const Descriptor& config :
         heuristics.descriptors(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, looked_at)) {
      if (std::ssize(list) == most) break;
      const Descriptor engine =
          config.descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1).at(0);
      if (!acceptable(engine, problem.type)) continue;
      Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
      on_device(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
      if (!plan.finishes()) continue;  // heuristics promise no more than a likelihood
      LibraryKernel kernel{.name = name_of(config, engine)};
      kernel.workspace_bytes = plan.value<std::int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64);
      kernel.run = [this, plan, bias = problem.bias, residual = problem.residual](
                       const LibraryData& data, void* stream) { run(plan, data, bias, residual, stream); };
      list.push_back(std::move(kernel));
    }
    return list;
  }

 private:
  using Name = std::optional<cudnnBackendAttributeName_t>;

  void on_device(Descriptor& d, Name handle, Name device) const {
    if (handle_ && handle) d.set(*handle, CUDNN_TYPE_HANDLE, handle_.get());
    if (!device_.empty() && device) d.set(*device, device_[0]);
  }

  // A handle has one stream at a time.
  void run(const Descriptor& plan, const LibraryData& data, bool bias, bool residual, void* stream) {
    std::vector<std::int64_t> ids{x_uid, weight_uid, y_uid};
    std::vector<const void*> pointers{data.x, data.weight, data.y};
    if (bias) ids.push_back(bias_uid), pointers.push_back(data.bias);
    if (residual) ids.push_back(residual_uid), pointers.push_back(data.residual);
    Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids)
        .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, std::ssize(pointers), pointers.data())
        .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, data.workspace)
        .finish();
    const std::lock_guard lock(mutex_);
    if (!handle_) throw Error(ErrorKind::device, "cuDNN: opened without a GPU, nothing can run");
    check(cudnnSetStream(handle_.get(), static_cast<cudaStream_t>(stream)), "a stream");
    check(cudnnBackendExecute(handle_.get(), plan.get(), pack.get()), "a convolution");
  }

  std::mutex mutex_;
  std::shared_ptr<std::remove_pointer_t<cudnnHandle_t>> handle_;  // null: without a GPU
  std::vector<Descriptor> device_;                                // then the one described
};

ConvLibrary* open(const char* device_json) { return new Cudnn(device_json); }

}  // namespace

}  // namespace fathom

extern "C" __attribute__((visibility("default"))) const fathom::LibraryModule* fathom_library_module() {
  static const std::string built_for = fathom::module_abi();
  static const fathom::LibraryModule module{built_for.c_str(), &fathom::open};
  return &module;
}
