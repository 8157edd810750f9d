// Ops whose operands differ in type, as the pass store_halves leaves them; the kernels that only large maps or small
// GPUs would choose; and a test that every kernel of these ops is taken by some case.
#include <map>
#include <regex>
#include <set>

#include "tests/kernels/cuda/check_cuda.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

Desc map(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) { return Desc::nhwc(n, c, h, w); }

// A case, and how its data inputs and its output are stored: 'f' float32, 'h' halves, 'u' bytes.
struct Mixed {
  Case c;
  std::string in;
  char out;
};

GpuInfo small_gpu() {  // so small that a few pixels fill it, and hardly any shared memory
  GpuInfo gpu = GpuInfo::current();
  gpu.multiprocessors = 0, gpu.shared_bytes = 0;
  return gpu;
}
GpuInfo large_gpu() {  // that takes many blocks
  GpuInfo gpu = GpuInfo::current();
  gpu.multiprocessors = 132;
  return gpu;
}

std::vector<Mixed> table() {
  std::vector<Mixed> t;
  const auto add = [&](const std::string& name, const Op& op, std::vector<Desc> in, const std::string& types,
                       float low = -1, float high = 1) {
    const std::size_t to = types.find('>');
    t.push_back({{"mixed/" + name + " " + types, op, std::move(in), low, high}, types.substr(0, to), types[to + 1]});
  };
  const Activation relu{ActivationKind::relu}, hard_swish{ActivationKind::hard_swish};
  for (const char* types : {"hh>h", "hh>f", "hf>h", "fh>h", "fh>f", "ff>h"})
    for (int c : {3, 8, 33}) {
      add("add_c" + std::to_string(c), Add{relu}, {map(2, c, 3, 5), map(2, c, 3, 5)}, types);
      const std::string third = std::string(1, types[0]) + types;
      add("add_three_c" + std::to_string(c), Add{relu}, std::vector<Desc>(3, map(2, c, 3, 5)), third);
      add("multiply_c" + std::to_string(c), Multiply{}, {map(1, c, 3, 5), map(1, c, 3, 5)}, types);
    }
  for (const char* types : {"hf>h", "hf>f", "ff>h", "ff>f"})
    for (int c : {3, 16, 31}) {
      const std::string of = std::to_string(c);
      add("gate_c" + of, Multiply{hard_swish}, {map(2, c, 3, 5), map(2, c, 1, 1)}, types);
      add("mask_c" + of, Multiply{}, {map(2, c, 3, 5), map(2, 1, 3, 5)}, types);
      add("number_c" + of, Multiply{}, {map(2, c, 3, 5), map(1, 1, 1, 1)}, types);
    }
  add("row", Multiply{}, {map(2, 8, 3, 5), map(2, 8, 1, 5)}, "hh>h");
  for (const char* types : {"h>h", "h>f", "f>h", "f>f"})
    for (int c : {3, 8, 33}) {
      const std::string of = std::to_string(c);
      const Desc x = map(2, c, 9, 6), each = Desc::dense({c});
      add("sigmoid_c" + of, Activation{ActivationKind::sigmoid}, {x}, types);
      add("affine_c" + of, Affine{0.3f, -2}, {x}, types);
      add("depth_c" + of, DisparityToDepth{1, 80}, {x}, types, 0, 1);
      add("batch_norm_c" + of, BatchNorm{.activation = relu}, {x, each, each, each, each}, types);
      add("max_3_c" + of, Pool{.kernel = 3, .stride = 2, .padding = 1}, {x}, types);
      add("max_3_ceil_c" + of, Pool{.kernel = 3, .stride = 2, .ceil_mode = true}, {map(1, c, 8, 10)}, types);
      add("max_5_c" + of, Pool{.kernel = 5, .stride = 1, .padding = 2}, {x}, types);
      add("max_5_norm_c" + of, Pool{.kernel = 5, .stride = 1, .padding = 2, .affine = true, .activation = relu}, {x, each, each}, types);
      add("mean_2_norm_c" + of, Pool{.kind = PoolKind::average, .kernel = 2, .stride = 2, .affine = true}, {x, each, each}, types);
      add("chain_c" + of, PoolChain{.stages = 2, .activation = relu}, {x, Desc::dense({3, c})}, types);
      add("max_2_c" + of, Pool{.kernel = 2, .stride = 2}, {x}, types);
      add("mean_2_c" + of, Pool{.kind = PoolKind::average, .kernel = 2, .stride = 2}, {x}, types);
      add("nearest_c" + of, Resize{.mode = ResizeMode::nearest, .scale = 2}, {x}, types);
      add("bilinear_c" + of, Resize{.mode = ResizeMode::bilinear, .size = {13, 11}}, {x}, types);
      add("align_corners_c" + of, Resize{.mode = ResizeMode::bilinear, .size = {5, 9}, .align_corners = true}, {x},
          types);
      add("pad_c" + of, Pad{{1, 2, 0, 3}, PadMode::reflect}, {x}, types);
      add("slice_rows_c" + of, Slice{.axis = 2, .begin = 2, .count = 5}, {x}, types);
      add("shuffle_2_c" + of, PixelShuffle{2}, {map(2, 4 * c, 3, 2)}, types);
      add("shuffle_3_c" + of, PixelShuffle{3}, {map(1, 9 * c, 1, 2)}, types);
      add("box_c" + of, BoxFilter{.radius = 2}, {x}, types);
      add("recut_c" + of, Reshape{.c = c, .h = 6, .w = 9}, {x}, types);
    }
  for (const char* types : {"h>h", "h>f", "f>h", "f>f"}) {
    add("slice_from_8", Slice{.axis = 1, .begin = 8, .count = 17}, {map(1, 40, 3, 4)}, types);
    add("slice_from_3", Slice{.axis = 1, .begin = 3, .count = 16}, {map(1, 40, 3, 4)}, types);
  }
  for (const Size2 size : {Size2(7, 12), Size2(4, 8), Size2(18, 52)}) {
    const std::string to = std::to_string(size.h) + "x" + std::to_string(size.w);
    add("nearest_plane_" + to, Resize{.mode = ResizeMode::nearest, .size = size}, {map(2, 1, 9, 26)}, "f>f");
    add("bilinear_plane_" + to, Resize{.mode = ResizeMode::bilinear, .size = size}, {map(2, 1, 9, 26)}, "f>f");
    add("align_corners_plane_" + to, Resize{.mode = ResizeMode::bilinear, .size = size, .align_corners = true},
        {map(2, 1, 9, 26)}, "f>f");
  }
  for (int c : {2, 33, 80, 128}) {
    const std::string of = std::to_string(c);
    add("to_rows_c" + of, Reshape{.c = c * 35, .h = 1, .w = 1}, {map(2, c, 5, 7)}, "h>f");
    add("to_rows_c" + of, Reshape{.c = c * 35, .h = 1, .w = 1}, {map(2, c, 5, 7)}, "f>f");
    add("from_rows_c" + of, Reshape{.c = c, .h = 5, .w = 7}, {map(2, c * 35, 1, 1)}, "f>h");
  }
  add("plane_to_rows", Reshape{.c = 48, .h = 1, .w = 1}, {map(2, 1, 6, 8)}, "f>f");
  for (int c : {3, 24, 130}) {
    const std::string of = std::to_string(c);
    add("global_mean_c" + of, GlobalMean{}, {map(2, c, 19, 23)}, "h>f");
    add("global_mean_c" + of, GlobalMean{}, {map(2, c, 19, 23)}, "f>f");
  }
  for (const char out : {'h', 'f'}) {
    const std::string to = std::string(">") + out;
    add("concat_map_and_plane", Concat{}, {map(2, 64, 3, 4), map(2, 1, 3, 4)}, "hf" + to);
    add("concat_plane_first", Concat{}, {map(2, 1, 3, 4), map(2, 16, 3, 4), map(2, 3, 3, 4)}, "fhf" + to);
    add("concat_uneven", Concat{}, {map(1, 33, 2, 3), map(1, 31, 2, 3), map(1, 5, 2, 3)}, "hhh" + to);
    add("concat_floats", Concat{}, {map(1, 12, 2, 3), map(1, 4, 2, 3)}, "ff" + to);
    add("concat_few", Concat{}, {map(1, 1, 3, 4), map(1, 3, 3, 4)}, "fh" + to);
    const std::vector<Desc> aligned(19, map(1, 8, 2, 3)), uneven(21, map(1, 3, 2, 3));
    add("concat_19", Concat{}, aligned, std::string(19, 'h') + to);
    add("concat_21_uneven", Concat{}, uneven, std::string(21, 'h') + to);
    add("guided", GuidedFilter{.radius = 4}, {map(2, 1, 11, 37), map(2, 1, 11, 37), map(2, 1, 20, 50)}, "fff>f");
    add("guided_rows", GuidedFilter{.radius = 1}, {map(2, 1, 5, 7), map(2, 1, 5, 7), map(2, 1, 9, 16)}, "fff>f");
    add("guided_c3", GuidedFilter{.radius = 2}, {map(2, 3, 10, 13), map(2, 1, 10, 13), map(2, 1, 20, 26)}, "hff" + to);
    add("guided_c9", GuidedFilter{.radius = 1, .eps = 1e-3f}, {map(1, 9, 5, 6), map(1, 1, 5, 6), map(1, 1, 9, 8)},
        "hff" + to);
    const Preprocess imagenet{{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};
    add("preprocess", imagenet, {Desc::nhwc(2, 3, 6, 8, DType::u8)}, "u" + to, 0, 256);
    add("preprocess_odd", imagenet, {Desc::nhwc(2, 3, 5, 7, DType::u8)}, "u" + to, 0, 256);
    add("preprocess_c9", Preprocess{}, {Desc::nhwc(1, 9, 3, 8, DType::u8)}, "u" + to, 0, 256);
  }
  return t;
}

Desc stored_as(char type, const Desc& d) {
  if (type == 'u') return d;
  Desc out = infer(Activation{}, std::span(&d, 1));
  if (type == 'h') in_halves({"", Activation{}, {d}}, out);
  return out;
}

std::string label(const Case& c, const Step& step) {  // without the numbers of a size
  return std::string(name_of(c.op)) + ": " + std::regex_replace(step.kernel, std::regex("in [0-9]+ parts"), "in parts");
}

void expect_mixed(const Mixed& m, const GpuInfo& gpu, const RunOptions& options = {},
                  const std::vector<std::vector<float>>* values = nullptr) {
  if (const char* only = std::getenv("FATHOM_CASE"); only && !m.c.name.starts_with(only)) return;
  ReferenceBackend reference;
  CudaBackend cuda(gpu, Precision::fp16);
  const auto list = values ? *values : rounded(values_of(m.c));
  const std::vector<float> wanted = run_op(m.c, list, reference).values;
  Case stored = m.c;
  for (std::size_t k = 0; k < m.in.size(); ++k) stored.in[k] = stored_as(m.in[k], m.c.in[k]);
  const Desc out = stored_as(m.out, infer(m.c.op, m.c.in));
  try {
    const RunResult got = run_op(stored, list, cuda, options, DeviceMemory(), &out);
    const Difference d = compare(got.values, wanted);
    INFO(m.c.name << ", " << to_text(m.c.op) << ", " << got.step.kernel << ": " << to_text(d));
    const bool stages = std::holds_alternative<PoolChain>(m.c.op) && m.in[0] == 'h';  // are stored as halves
    CHECK(d.within(m.out == 'f' && !stages ? 1e-5 : 2e-3));
  } catch (const std::exception& e) {
    FAIL_CHECK(m.c.name << ": " << e.what());
  }
}

}  // namespace

TEST_CASE("cuda: operands of different types", "[cuda][mixed]") {
  for (const Mixed& m : table())
    for (const GpuInfo& gpu : {small_gpu(), large_gpu()}) expect_mixed(m, gpu);
}

TEST_CASE("cuda: operands of different types, as channel slices", "[cuda][mixed]") {
  for (const Mixed& m : table()) expect_mixed(m, small_gpu(), {.lead = 8, .tail = 16, .slice_channels = 8});
}

TEST_CASE("cuda: NaN and infinity pass through what compares and what copies", "[cuda][mixed]") {
  for (const Mixed& m : table()) {
    const bool copies = std::holds_alternative<Pool>(m.c.op) || std::holds_alternative<Pad>(m.c.op) ||
                        std::holds_alternative<Concat>(m.c.op) || std::holds_alternative<Reshape>(m.c.op) ||
                        std::holds_alternative<Add>(m.c.op) || std::holds_alternative<PixelShuffle>(m.c.op) ||
                        std::holds_alternative<PoolChain>(m.c.op);
    if (!copies) continue;
    auto values = rounded(values_of(m.c));
    values[0][values[0].size() / 2] = NAN;
    values.back()[values.back().size() / 3] = INFINITY;
    for (const GpuInfo& gpu : {small_gpu(), large_gpu()}) expect_mixed(m, gpu, {}, &values);
  }
}

// The sources of a Concat may lie where they belong already; then they are neither read nor written.
TEST_CASE("cuda: a Concat copies only what is elsewhere", "[cuda][mixed]") {
  const std::int64_t pixels = 12, wide = 48;
  for (int here = 0; here < 8; ++here) {  // bit k: source k is in place
    CudaBackend cuda(GpuInfo::current(), Precision::fp16);
    const Desc y{DType::f16, 4, {1, 48, 3, 4}, {wide * pixels, 1, wide * 4, wide}};
    NodeIo io{.name = "joined", .out = {3, y, "joined", nullptr}};
    DeviceMemory memory;
    std::vector<std::byte> joined(static_cast<std::size_t>(wide * pixels * 2), std::byte{0xFF});
    auto* const to = static_cast<std::byte*>(memory.put(joined));
    std::vector<void*> addresses;
    std::vector<std::uint16_t> wanted(static_cast<std::size_t>(wide * pixels), 0xFFFF);
    std::int64_t first = 0;
    for (int k = 0; k < 3; ++k) {
      const std::int64_t c = k == 1 ? 24 : k == 0 ? 16 : 8;
      const bool in_place = here >> k & 1;
      Desc x{DType::f16, 4, {1, c, 3, 4}, {c * pixels, 1, c * 4, c}};
      if (in_place) {
        x.stride = y.stride;
        addresses.push_back(to + first * 2);  // holds sentinels, and is to keep them
      } else {
        std::vector<std::byte> values(static_cast<std::size_t>(c * pixels * 2));
        for (std::int64_t i = 0; i < c * pixels; ++i) {
          const std::uint16_t bits = float_to_half(static_cast<float>(100 * (k + 1) + i));
          std::memcpy(values.data() + i * 2, &bits, 2);
          wanted[static_cast<std::size_t>(i / c * wide + first + i % c)] = bits;
        }
        addresses.push_back(memory.put(values));
      }
      io.in.push_back({k, x, "source", nullptr});
      first += c;
    }
    addresses.push_back(to);
    const Step step = prepare(Concat{}, io, cuda);
    step.run({addresses.data(), nullptr, nullptr, nullptr});
    memory.get(to, joined);
    INFO("in place: " << here);
    CHECK(std::memcmp(joined.data(), wanted.data(), joined.size()) == 0);
  }
}

TEST_CASE("cuda: what these kernels do not read is refused by name", "[cuda][mixed]") {
  CudaBackend cuda(GpuInfo::current(), Precision::fp16);
  const Desc photograph = Desc::nhwc(1, 3, 4, 5, DType::u8);
  const NodeIo bytes{.name = "pad", .in = {{0, photograph, "photo", nullptr}}, .out = {1, photograph, "pad", nullptr}};
  CHECK_THROWS_WITH(prepare(Pad{}, bytes, cuda), says("Pad 'pad'") && says("'photo' is u8"));
  const Desc x = map(1, 3, 4, 5);
  const auto constant = Constant::of(x, std::vector<float>(60));
  const NodeIo known{.name = "sum", .in = {{0, x, "x", nullptr}, {1, x, "k", constant}}, .out = {2, x, "sum", nullptr}};
  CHECK_THROWS_WITH(prepare(Add{}, known, cuda), says("'k' is a constant"));
}

TEST_CASE("cuda: every kernel of the ops that are not convolutions is taken by some case", "[cuda][mixed]") {
  if (std::getenv("FATHOM_CASE")) return;
  const std::map<std::string, std::vector<std::string>> kernels = {
      {"Activation", {""}},
      {"Affine", {""}},
      {"DisparityToDepth", {""}},
      {"BatchNorm", {"scale and shift, "}},
      {"Add", {"sum, ", "sum of several, "}},
      {"Multiply", {"product, ", "product, one factor a pixel, ", "product, one factor a channel, "}},
      {"Pool", {"", "four pixels a thread, "}},
      {"GlobalMean", {"", "in parts, "}},
      {"Concat", {"copy, "}},
      {"Slice", {"copy, "}},
      {"Pad", {"copy by index, "}},
      {"PixelShuffle", {"four pixels a thread, ", "gathered, "}},
      {"Resize", {"nearest, ", "bilinear, "}},
      {"BoxFilter", {"direct sums, "}},
  };
  std::set<std::string> wanted = {"Reshape: copy, 4 channels a thread",
                                  "Reshape: transposed tiles, element by element",
                                  "Reshape: transposed tiles, 4 channels a thread",
                                  "Reshape: transposed tiles, 8 channels a thread",
                                  "Reshape: element by element",
                                  "PoolChain: tiles in shared memory, two halves a thread",
                                  "PoolChain: tiles in shared memory, a float a thread",
                                  "Resize: nearest, 4 pixels of a row a thread",
                                  "Resize: bilinear, 4 pixels of a row a thread",
                                  "GuidedFilter: direct sums",
                                  "GuidedFilter: tiles in shared memory",
                                  "GuidedFilter: direct sums, 4 pixels of a row a thread",
                                  "GuidedFilter: tiles in shared memory, 4 pixels of a row a thread",
                                  "Preprocess: four elements a thread",
                                  "Preprocess: element by element"};
  for (const auto& [op, list] : kernels)
    for (const std::string& kernel : list)
      for (const char* width : {"element by element", "4 channels a thread", "8 channels a thread"})
        wanted.insert(op + ": " + kernel + width);
  for (const Mixed& m : table())  // prepared alone: nothing is run
    for (const GpuInfo& gpu : {small_gpu(), large_gpu()}) {
      CudaBackend cuda(gpu, Precision::fp16, Constants::left_out);
      NodeIo io{.name = m.c.name, .out = {100, stored_as(m.out, infer(m.c.op, m.c.in)), m.c.name, nullptr}};
      for (std::size_t k = 0; k < m.c.in.size(); ++k) {
        const bool data = k < m.in.size();
        io.in.push_back({static_cast<int>(k), data ? stored_as(m.in[k], m.c.in[k]) : m.c.in[k], "x",
                         data ? nullptr : std::make_shared<Constant>(Constant{.desc = m.c.in[k]})});
      }
      wanted.erase(label(m.c, std::visit([&](const auto& op) { return prepare(op, io, cuda); }, m.c.op)));
    }
  for (const std::string& missed : wanted) FAIL_CHECK("no case takes the kernel of " << missed);
  CHECK(wanted.empty());
}
