// Model files and graphs from strangers: whatever the bytes, the loader ends in a network or in one sentence that names
// the offending part.
#include <cmath>
#include <cstring>
#include <fstream>
#include <random>
#include <thread>

#include "engine/graph_json.hpp"
#include "engine/model_file.hpp"
#include "engine/synthetic.hpp"
#include "fathom/error.hpp"
#include "tests/catch.hpp"
#include "tests/engine/temporary.hpp"
#include "tests/engine/use_model.hpp"

using namespace fathom;

namespace {

using Bytes = std::vector<std::byte>;

Bytes safetensors_bytes(const std::string& header, std::size_t data_bytes, std::optional<std::uint64_t> length = {}) {
  Bytes bytes(8 + header.size() + data_bytes);
  const std::uint64_t header_bytes = length.value_or(header.size());
  std::memcpy(bytes.data(), &header_bytes, 8);
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  return bytes;
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int k = 0; k < times; ++k) all += text;
  return all;
}

void use(Bytes bytes) { use_model(SafetensorsFile::from_memory(std::move(bytes), "m.safetensors")); }

const std::string one_node_graph = R"({"version": 1, "inputs": [{"name": "x", "dtype": "u8", "std": [0.5]}], "nodes": [
  {"op": "Conv2d", "name": "c", "in": ["x"], "out": ["y"], "weight": "w", "bias": "b", "padding": 1, "activation": "relu"}],
  "outputs": [{"name": "o", "value": "y", "kind": "depth"}]})";

Bytes valid_model(const TemporaryFolder& folder) {
  const std::vector<Parameter> parameters = {{"w", Desc::dense({2, 3, 3, 3})}, {"b", Desc::dense({2})}};
  write_model_file(folder / "valid", {"", R"({"input_width": 64})", one_node_graph, synthetic_weights(parameters)});
  std::ifstream file(folder / "valid", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  Bytes bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

}  // namespace

TEST_CASE("a model file truncated anywhere is refused", "[engine]") {
  const TemporaryFolder folder;
  const Bytes whole = valid_model(folder);
  REQUIRE_NOTHROW(use(whole));
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, whole.data(), 8);
  for (std::size_t size = 0; size < whole.size(); size += size < 8 + header_bytes ? 1 : 7) {
    INFO(size << " of " << whole.size() << " bytes");
    Bytes part = whole;
    part.resize(size);
    CHECK_THROWS_MATCHES(use(part), Error, Fails(ErrorKind::file, {"m.safetensors is truncated"}));
  }
  // The same through a file.
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{8}, std::size_t{100}, whole.size() - 1}) {
    std::filesystem::resize_file(folder / "valid", size);
    CHECK_THROWS_MATCHES(load_model_file(folder / "valid"), Error,
                         Fails(ErrorKind::file, {folder / "valid", "truncated"}));
    std::ofstream(folder / "valid", std::ios::binary)
        .write(reinterpret_cast<const char*>(whole.data()), std::ssize(whole));
  }
  CHECK_NOTHROW(load_model_file(folder / "valid"));
}

TEST_CASE("a header's length is checked first", "[engine]") {
  const auto open = [](const std::string& header, std::uint64_t length) {
    SafetensorsFile::from_memory(safetensors_bytes(header, 0, length), "m.safetensors");
  };
  CHECK_THROWS_MATCHES(open("{}", 0), Error, Fails(ErrorKind::model, {"m.safetensors", "length of the header is 0"}));
  CHECK_THROWS_MATCHES(open("{}", 1), Error,
                       Fails(ErrorKind::model, {"m.safetensors: header", "not valid JSON at byte"}));
  CHECK_THROWS_MATCHES(open("{}", 3), Error, Fails(ErrorKind::file, {"truncated", "3 bytes"}));
  for (const std::uint64_t length :
       {std::uint64_t{100'000'001}, std::uint64_t{1} << 63, ~std::uint64_t{0}, ~std::uint64_t{0} - 7})
    CHECK_THROWS_MATCHES(open("{}", length), Error,
                         Fails(ErrorKind::model, {"no safetensors file", std::to_string(length), "100000000"}));
  CHECK_THROWS_MATCHES(open("{}", 100'000'000), Error, Fails(ErrorKind::file, {"truncated", "100000000"}));
  CHECK_NOTHROW(open("{}", 2));
  CHECK_NOTHROW(open("{} ", 3));  // an odd length is unusual, and allowed
}

TEST_CASE("a header's faults are named", "[engine]") {
  const auto tensor = [](const std::string& members) { return R"({"t": {)" + members + "}}"; };
  const auto shaped = [&](const std::string& shape) {
    return tensor(R"("dtype":"F32","shape":)" + shape + R"(,"data_offsets":[0,8])");
  };
  const auto placed = [&](const std::string& offsets) {
    return tensor(R"("dtype":"F32","shape":[2],"data_offsets":)" + offsets);
  };
  const auto two = [](int begin_a, int end_a, int begin_b, int end_b) {
    const auto entry = [](int begin, int end) {
      return R"({"dtype":"U8","shape":[)" + std::to_string(end - begin) + R"(],"data_offsets":[)" +
             std::to_string(begin) + "," + std::to_string(end) + "]}";
    };
    return R"({"a":)" + entry(begin_a, end_a) + R"(,"b":)" + entry(begin_b, end_b) + "}";
  };
  struct Case {
    std::string header;  // of a file with 8 bytes of data
    std::vector<std::string> parts;
    ErrorKind kind = ErrorKind::model;
  };
  const std::vector<Case> cases = {
      // JSON
      {" ", {"header", "not valid JSON"}},
      {"[]", {"not a JSON object"}},
      {"null", {"not a JSON object"}},
      {"{\"t\": }", {"not valid JSON", "byte 7", "'t'"}},
      {"{} x", {"not valid JSON", "byte 4"}},
      {std::string("{}\0", 3), {"not valid JSON"}},
      {repeated("[", 100000), {"nested deeper"}},
      {repeated("{\"a\":", 100000), {"nested deeper", "'a'"}},
      {"{\"t\": {\"shape\": [[[[1]]]]}}", {"nested deeper", "'t'", "'shape'"}},
      {"[" + repeated("0,", 2000000) + "0]", {"2000000 values"}},
      {"{\"" + repeated("x", 100000), {"not valid JSON"}},
      // names
      {R"({"t": {"dtype":"F32","shape":[2],"data_offsets":[0,8]}, "t": {"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
       {"'t'", "twice"}},
      {R"({"": {"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", {"empty name"}},
      {"{\"" + repeated("n", 1025) + R"(": {"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", {"'nnn", "1025"}},
      {"{\"\xff\xfe\": {}}", {"not valid JSON"}},
      {"{\"caf\xc3\": {}}", {"not valid JSON"}},
      {R"({"\ud800": {}})", {"not valid JSON"}},
      {R"({"a\nb": {}})", {"'a\\x0ab'", "control characters"}},
      // entries
      {R"({"t": 3})", {"'t'", "object"}},
      {R"({"t": {}})", {"'t'", "'dtype'"}},
      {tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"strides":[1])"), {"'t'", "'strides'"}},
      {tensor(R"("dtype":"F32","data_offsets":[0,8])"), {"'t'", "'shape'"}},
      {tensor(R"("dtype":"F32","shape":[2])"), {"'t'", "'data_offsets'"}},
      {tensor(R"("dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8])"), {"'t'", "'dtype'", "twice"}},
      {R"({"__metadata__": []})", {"__metadata__"}},
      {R"({"__metadata__": {"k": 1}})", {"__metadata__", "'k'"}},
      // dtype
      {tensor(R"("dtype":4,"shape":[2],"data_offsets":[0,8])"), {"'t'", "dtype"}},
      {tensor(R"("dtype":"f32","shape":[2],"data_offsets":[0,8])"), {"'t'", "'f32'"}},
      {tensor(R"("dtype":"BF16","shape":[4],"data_offsets":[0,8])"), {"'t'", "'BF16'"}},
      {tensor(R"("dtype":"F64","shape":[1],"data_offsets":[0,8])"), {"'t'", "'F64'"}},
      // shape
      {shaped("2"), {"'t'", "shape"}},
      {shaped("[1,1,1,1,2]"), {"'t'", "5 dimensions"}},
      {shaped("[0]"), {"'t'", "dimension 0", "is 0"}},
      {shaped("[2,-1]"), {"'t'", "dimension 1", "negative"}},
      {shaped("[2.0]"), {"'t'", "whole number"}},
      {shaped("[\"2\"]"), {"'t'", "whole number"}},
      {shaped("[null]"), {"'t'", "whole number"}},
      {shaped("[1000000000000]"), {"'t'", "expected 4000000000000"}},
      {shaped("[10000000000000]"), {"'t'", "absurdly large"}},
      {shaped("[4294967296,4294967296]"), {"'t'", "absurdly large"}},
      {shaped("[9223372036854775807,2]"), {"'t'", "absurdly large"}},
      {shaped("[18446744073709551615]"), {"'t'", "too large"}},
      {shaped("[99999999999999999999]"), {"'t'", "whole number"}},
      {shaped("[3]"), {"'t'", "(3)", "8 bytes", "expected 12"}},
      {shaped("[]"), {"'t'", "8 bytes", "expected 4"}},
      // offsets
      {placed("8"), {"'t'", "data_offsets"}},
      {placed("[0]"), {"'t'", "data_offsets"}},
      {placed("[0,8,16]"), {"'t'", "data_offsets"}},
      {placed("[-8,0]"), {"'t'", "negative"}},
      {placed("[0,8.5]"), {"'t'", "whole number"}},
      {placed("[8,0]"), {"'t'", "before it begins"}},
      {placed("[0,18446744073709551615]"), {"'t'", "too large"}},
      {placed("[9223372036854775800,9223372036854775807]"), {"'t'", "expected 8"}},
      {placed("[9223372036854775799,9223372036854775807]"), {"'t'", "belong to no tensor"}},
      {placed("[4,12]"), {"'t'", "4 bytes before", "no tensor"}},
      {two(0, 4, 3, 8), {"'a'", "'b'", "overlap"}},
      {two(0, 8, 0, 8), {"'a'", "'b'", "overlap"}},
      {two(0, 3, 4, 8), {"'b'", "1 bytes", "no tensor"}},
      {two(0, 4, 4, 7), {"last 1 bytes", "no tensor"}},
      {two(0, 4, 4, 9), {"'b'", "1 bytes beyond"}, ErrorKind::file},
      {"{}", {"last 8 bytes", "no tensor"}},
  };
  for (const Case& c : cases) {
    INFO(c.header.substr(0, 200));
    std::vector<std::string> parts = c.parts;
    parts.push_back("m.safetensors");
    CHECK_THROWS_MATCHES(SafetensorsFile::from_memory(safetensors_bytes(c.header, 8), "m.safetensors"), Error,
                         Fails(c.kind, parts));
  }
  CHECK_NOTHROW(SafetensorsFile::from_memory(safetensors_bytes(two(4, 8, 0, 4), 8)));  // in any order
  CHECK_NOTHROW(SafetensorsFile::from_memory(safetensors_bytes(shaped("[1,2,1,1]") + "   ", 8)));
}

TEST_CASE("the name of an architecture is a name", "[engine]") {
  for (const std::string& name : {repeated("n", 257), std::string("a\\nb")})
    CHECK_THROWS_MATCHES(
        use(safetensors_bytes(R"({"__metadata__": {"fathom.architecture": ")" + name + "\"}}", 0)), Error,
        Fails(ErrorKind::model, {"m.safetensors", "fathom.architecture", name.substr(0, 1), "no name"}));
}

TEST_CASE("too many tensors are refused", "[engine]") {
  std::string header = "{";
  for (int k = 0; k <= 100000; ++k) header += (k ? ",\"" : "\"") + std::to_string(k) + "\":0";
  CHECK_THROWS_MATCHES(SafetensorsFile::from_memory(safetensors_bytes(header + "}", 8), "m.safetensors"), Error,
                       Fails(ErrorKind::model, {"m.safetensors", "100001 tensors", "100000"}));
}

TEST_CASE("a budget refuses before anything is read", "[engine]") {
  const TemporaryFolder folder;
  // 16 GiB that take no room on the disk: a hole.
  const std::string header = R"({"huge":{"dtype":"F32","shape":[4294967296],"data_offsets":[0,17179869184]}})";
  const Bytes bytes = safetensors_bytes(header, 0);
  std::ofstream(folder / "huge", std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
  std::error_code failed;
  std::filesystem::resize_file(folder / "huge", bytes.size() + 17179869184u, failed);
  if (failed) {
    FAIL("this file system has no sparse files: " << failed.message());
  }
  CHECK_THROWS_MATCHES(
      SafetensorsFile::open(folder / "huge"), Error,
      Fails(ErrorKind::memory, {folder / "huge", "17179869184", "8589934592", "'huge'", "raise the budget"}));
  CHECK_NOTHROW(SafetensorsFile::open(folder / "huge", std::int64_t{1} << 40));
  // Half floats take twice their bytes.
  const Bytes halves = safetensors_bytes(R"({"t":{"dtype":"F16","shape":[500],"data_offsets":[0,1000]}})", 1000);
  CHECK_THROWS_MATCHES(SafetensorsFile::from_memory(halves, "m", 1999), Error,
                       Fails(ErrorKind::memory, {"2000", "1999"}));
  CHECK_NOTHROW(SafetensorsFile::from_memory(halves, "m", 2000));
  CHECK_THROWS_MATCHES(SafetensorsFile::from_memory(halves, "m", 10), Error,
                       Fails(ErrorKind::memory, {"header", "10"}));
}

TEST_CASE("damaged bytes end in a network or in an error", "[engine]") {
  const TemporaryFolder folder;
  const Bytes whole = valid_model(folder);
  std::mt19937 random(1);
  int refused = 0;
  for (int k = 0; k < 3000; ++k) {
    Bytes bytes = whole;
    for (int hits = 1 + static_cast<int>(random() % 3); hits > 0; --hits)
      bytes[random() % bytes.size()] =
          static_cast<std::byte>(random() % 3 ? random() % 256 : "0123456789{}[],:\"-.e"[random() % 20]);
    try {
      use(std::move(bytes));
    } catch (const Error& e) {
      REQUIRE(std::string(e.what()).find('\n') == std::string::npos);
      ++refused;
    }
  }
  CHECK(refused > 1000);
}

TEST_CASE("a file that is written to while it is read gives numbers or an error", "[engine]") {
  const TemporaryFolder folder;
  std::vector<float> values(20000, 1.f);
  const auto write = [&] {
    write_safetensors(folder / "t", {NamedTensor::of("t", {Desc::dense({20000}), values.data()})});
  };
  for (int round = 0; round < 20; ++round) {
    write();
    const auto file = SafetensorsFile::open(folder / "t");
    std::thread spoiler([&] { std::filesystem::resize_file(folder / "t", static_cast<std::size_t>(3000 * round)); });
    const auto read = [&] {
      const auto got = file->read_floats(*file->find("t"));
      return std::count(got.get(), got.get() + 20000, 1.f);
    };
    try {
      for (int k = 0; k < 100; ++k) {
        const auto right = read();  // throws once the file is cut
        CHECK(right == 20000);
      }
    } catch (const Error& e) {
      CHECK(e.kind() == ErrorKind::file);
    }
    spoiler.join();
    CHECK_THROWS_MATCHES(read(), Error, Fails(ErrorKind::file, {folder / "t"}));
  }
}

// ---- graphs ----

namespace {

const Weights& weights() {
  static const Weights all = [] {
    Weights w;
    for (const auto& [name, desc] :
         std::map<std::string, Desc>{{"w", Desc::dense({4, 3, 3, 3})}, {"b", Desc::dense({4})}})
      w[name] = std::make_shared<Constant>(Constant{desc, nullptr});
    return w;
  }();
  return all;
}

std::string graph_of(const std::string& nodes, const std::string& inputs = R"([{"name": "x", "dtype": "f32"}])",
                     const std::string& outputs = R"([{"name": "o", "value": "y"}])") {
  return R"({"version": 1, "inputs": )" + inputs + R"(, "nodes": )" + nodes + R"(, "outputs": )" + outputs + "}";
}

const std::string conv = R"("op": "Conv2d", "name": "c", "in": ["x"], "out": ["y"], "weight": "w", "bias": "b")";

std::string conv_with(const std::string& members) { return graph_of("[{" + conv + ", " + members + "}]"); }
// The convolution, and a node after it.
std::string then(const std::string& node) { return graph_of("[{" + conv + "}, " + node + "]"); }

}  // namespace

TEST_CASE("a graph's faults are named", "[engine]") {
  struct Case {
    std::string text;
    std::vector<std::string> parts;
    ErrorKind kind = ErrorKind::model;
  };
  const std::string relu = R"({"op": "Activation", "name": "r", "in": ["y"], "out": ["z"]})";
  const std::vector<Case> cases = {
      // JSON
      {"", {"graph", "not valid JSON"}},
      {"[]", {"graph", "object"}},
      {"\"graph\"", {"graph", "object"}},
      {"{}", {"'version'"}},
      {repeated("[", 1000000), {"nested deeper"}},
      {repeated("{\"nodes\":", 1000000), {"nested deeper", "'nodes'"}},
      {conv_with(R"("stride": )" + repeated("[", 100)), {"nested deeper", "'nodes'[0].'stride'"}},
      {graph_of("[{" + conv + R"(, "weight": "w"}])"), {"'weight'", "twice", "'nodes'[0]"}},
      // structure
      {R"({"version": 2})", {"version", "2"}},
      {R"({"version": "1"})", {"version", "1"}},
      {R"({"version": 1, "inputs": [], "nodes": [], "outputs": [], "weights": []})", {"'weights'", "unknown"}},
      {R"({"version": 1})", {"'inputs'"}},
      {graph_of("[{" + conv + "}]", "[]"), {"'inputs'", "empty"}},
      {graph_of("{}"), {"'nodes'", "not a list"}},
      {graph_of("[]"), {"'nodes'", "empty"}},
      {graph_of("[" + repeated("{},", 999999) + "{}]"), {"'nodes'", "1000000"}},
      {graph_of("[" + repeated("{" + conv + "},", 200000) + "{}]"), {"bytes of JSON"}},
      {graph_of("[{" + conv + "}]", R"([{"name": "x", "dtype": "f32"}])", "[]"), {"'outputs'", "empty"}},
      // inputs
      {graph_of("[]", R"([3])"), {"'nodes'", "empty"}},
      {graph_of("[{" + conv + "}]", R"([3])"), {"input 0", "object"}},
      {graph_of("[{" + conv + "}]", R"([{"dtype": "f32"}])"), {"input 0", "'name'"}},
      {graph_of("[{" + conv + "}]", R"([{"name": "x"}])"), {"input 'x'", "'dtype'"}},
      {graph_of("[{" + conv + "}]", R"([{"name": "x", "dtype": "f16"}])"), {"input 'x'", "'f16'"}},
      {graph_of("[{" + conv + "}]", R"([{"name": "x", "dtype": "f32", "shape": [1]}])"), {"input 'x'", "'shape'"}},
      {graph_of("[{" + conv + "}]", R"([{"name": "x", "dtype": "f32", "mean": [1]}])"), {"input 'x'", "'mean'"}},
      {graph_of("[{" + conv + "}]", R"([{"name": "x", "dtype": "u8", "std": [0]}])"), {"input 'x'", "'std'"}},
      {graph_of("[{" + conv + "}]", R"([{"name": "x", "dtype": "u8", "std": [1e60]}])"),
       {"input 'x'", "'std'[0]", "range"}},
      {graph_of("[{" + conv + "}]", R"([{"name": "x", "dtype": "u8", "mean": [1, 2]}])"),
       {"x.normalised", "2 means"},
       ErrorKind::shape},
      {graph_of("[{" + conv + "}]", R"([{"name": "x", "dtype": "u8", "channels": 0}])"), {"input 'x'", "'channels'"}},
      {graph_of("[{" + conv + "}]", R"([{"name": "x", "dtype": "f32"}, {"name": "x", "dtype": "f32"}])"),
       {"'x'", "twice"}},
      // values
      {graph_of(R"([{"op": "Activation", "name": "a", "in": ["y"], "out": ["y"]}])"), {"node 'a'", "'y'", "cycles"}},
      {graph_of(
           R"([{"op": "Add", "name": "a", "in": ["x", "z"], "out": ["y"]}, {"op": "Activation", "name": "b", "in": ["y"], "out": ["z"]}])"),
       {"node 'a'", "'z'", "node 'b'", "cycles"}},
      {then(R"({"op": "Activation", "name": "a", "in": ["nowhere"], "out": ["z"]})"),
       {"node 'a'", "'nowhere'", "no input and no node"}},
      {then(R"({"op": "Activation", "name": "a", "in": ["x"], "out": ["y"]})"), {"'y'", "twice", "node 'a'"}},
      {then(R"({"op": "Activation", "name": "a", "in": ["x"], "out": ["x"]})"), {"'x'", "twice", "node 'a'"}},
      {then(R"({"op": "Activation", "name": "c", "in": ["x"], "out": ["z"]})"), {"two nodes", "'c'"}},
      {then(R"({"op": "Activation", "name": "a", "in": [], "out": ["z"]})"), {"node 'a'", "'in'", "empty"}},
      {then(R"({"op": "Activation", "name": "a", "in": "x", "out": ["z"]})"), {"node 'a'", "'in'", "list"}},
      {then(R"({"op": "Activation", "name": "a", "in": [0], "out": ["z"]})"), {"node 'a'", "'in'[0]", "text"}},
      {then(R"({"op": "Activation", "name": "a", "in": ["x", "x"], "out": ["z"]})"),
       {"'a'", "expected 1"},
       ErrorKind::shape},
      {then(R"({"op": "Activation", "name": "a", "in": ["x"], "out": []})"), {"node 'a'", "'out'"}},
      {then(R"({"op": "Activation", "name": "a", "in": ["x"], "out": ["p", "q"]})"), {"node 'a'", "2 outputs"}},
      {then(R"({"op": "Activation", "name": "a", "in": ["x"], "out": [""]})"), {"node 'a'", "'out'[0]"}},
      {then(R"({"op": "Concat", "name": "a", "in": [)" + repeated("\"x\",", 1024) + R"("x"], "out": ["z"]})"),
       {"node 'a'", "1025"}},
      {then(R"({"op": "Activation", "name": "", "in": ["x"], "out": ["z"]})"), {"node 1", "'name'"}},
      {then(R"({"op": "Activation", "in": ["x"], "out": ["z"]})"), {"node 1", "'name'"}},
      {then(R"({"op": "Activation", "name": "a\nb", "in": ["x"], "out": ["z"]})"), {"node 1", "'name'", "'a\\x0ab'"}},
      {then(R"({"op": "Activation", "name": "a", "in": ["x\n"], "out": ["z"]})"), {"node 'a'", "'x\\x0a'"}},
      {then(R"({"op": "Activation", "name": "a", "in": ["x"], "out": ["\u0000"]})"),
       {"node 'a'", "'out'[0]", "'\\x00'"}},
      {then(R"({"op": "Activation", "name": ")" + repeated("n", 513) + R"(", "in": ["x"], "out": ["z"]})"),
       {"node 1", "513"}},
      {then(R"({"op": "Add", "name": "a", "in": [)" + repeated("\"x\",", 999) + R"("x"], "out": ["z"]})"),
       {"Add 'a'", "1000", "..."},
       ErrorKind::shape},
      {then("7"), {"node 1", "object"}},
      // ops and their members
      {then(R"({"name": "a", "in": ["x"], "out": ["z"]})"), {"node 'a'", "'op'"}},
      {then(R"({"op": "Conv3d", "name": "a", "in": ["x"], "out": ["z"]})"), {"node 'a'", "'Conv3d'", "Conv2d"}},
      {then(R"({"op": "Preprocess", "name": "a", "in": ["x"], "out": ["z"]})"), {"node 'a'", "Preprocess"}},
      {conv_with(R"("kernel": 3)"), {"node 'c'", "'kernel'", "unknown", "stride"}},
      {then(R"({"op": "Activation", "name": "a", "in": ["y"], "out": ["z"], "weight": "w"})"),
       {"node 'a'", "'weight'", "unknown"}},
      {conv_with(R"("stride": 0)"), {"'c'", "stride", "0x0"}, ErrorKind::shape},
      {conv_with(R"("stride": [2, 0])"), {"'c'", "stride", "2x0"}, ErrorKind::shape},
      {conv_with(R"("stride": -1)"), {"'c'", "stride"}, ErrorKind::shape},
      {conv_with(R"("stride": 1.5)"), {"node 'c'", "'stride'", "whole number"}},
      {conv_with(R"("stride": [1, 2, 3])"), {"node 'c'", "'stride'", "[h, w]"}},
      {conv_with(R"("stride": [])"), {"node 'c'", "'stride'"}},
      {conv_with(R"("stride": [1, "2"])"), {"node 'c'", "'stride'[1]"}},
      {conv_with(R"("stride": null)"), {"node 'c'", "'stride'"}},
      {conv_with(R"("dilation": 0)"), {"'c'", "dilation"}, ErrorKind::shape},
      {conv_with(R"("dilation": 16777216)"), {"'c'", "empty"}, ErrorKind::shape},
      {conv_with(R"("padding": -1)"), {"'c'", "padding"}, ErrorKind::shape},
      {conv_with(R"("padding": [1, 2, 3])"), {"node 'c'", "'padding'"}},
      {conv_with(R"("padding": 1000000000)"), {"node 'c'", "'padding'", "range"}},
      {conv_with(R"("padding": -9223372036854775808)"), {"node 'c'", "'padding'", "range"}},
      {conv_with(R"("padding": 16777216)"), {"'c'", "absurdly large"}, ErrorKind::shape},
      {conv_with(R"("groups": 2)"), {"'c'", "2 groups", "3 input"}, ErrorKind::shape},
      {conv_with(R"("groups": 0)"), {"'c'", "0 groups"}, ErrorKind::shape},
      {conv_with(R"("groups": -1)"), {"'c'", "-1 groups"}, ErrorKind::shape},
      {conv_with(R"("gate": 1)"), {"node 'c'", "'gate'", "true or false"}},
      {conv_with(R"("gate": true)"), {"'c'", "expected 4 inputs"}, ErrorKind::shape},
      {conv_with(R"("sources": [])"), {"'c'", "source"}, ErrorKind::shape},
      {conv_with(R"("sources": [{}, {}])"), {"'c'", "expected 4 inputs"}, ErrorKind::shape},
      {conv_with(R"("sources": {})"), {"node 'c'", "'sources'", "list"}},
      {conv_with(R"("sources": [{"mode": 1}])"), {"node 'c'", "'sources'[0]", "'mode'"}},
      {conv_with(R"("sources": [{"resize": {"mode": "cubic"}}])"), {"node 'c'", "'resize'", "'cubic'", "bilinear"}},
      {conv_with(R"("activation": "gelu")"), {"node 'c'", "'activation'", "'gelu'", "relu6"}},
      {conv_with(R"("activation": {"kind": "elu", "alpha": "1"})"), {"node 'c'", "'alpha'", "number"}},
      {conv_with(R"("activation": {"beta": 1})"), {"node 'c'", "'activation'", "'beta'"}},
      {conv_with(R"("activation": 3)"), {"node 'c'", "'activation'"}},
      {then(R"({"op": "Pool", "name": "a", "in": ["y"], "out": ["z"], "stride": 0})"),
       {"'a'", "stride"},
       ErrorKind::shape},
      {then(R"({"op": "Pool", "name": "a", "in": ["y"], "out": ["z"], "padding": 16777216})"),
       {"'a'", "padding"},
       ErrorKind::shape},
      {then(R"({"op": "PixelShuffle", "name": "a", "in": ["y"], "out": ["z"], "factor": 65536})"),
       {"'a'", "65536"},
       ErrorKind::shape},
      {then(R"({"op": "Slice", "name": "a", "in": ["y"], "out": ["z"], "begin": 16777216})"),
       {"'a'", "outside"},
       ErrorKind::shape},
      {then(R"({"op": "Slice", "name": "a", "in": ["y"], "out": ["z"], "axis": 4})"),
       {"'a'", "axis 4"},
       ErrorKind::shape},
      {then(R"({"op": "Reshape", "name": "a", "in": ["y"], "out": ["z"], "c": 2, "h": 3, "w": 5})"),
       {"'a'", "cannot cut", "(1, 2, 3, 5)"},
       ErrorKind::shape},
      {then(R"({"op": "Reshape", "name": "a", "in": ["y"], "out": ["z"], "c": 16777216, "h": 16777216, "w": 65536})"),
       {"'a'", "absurdly large"},
       ErrorKind::shape},
      {then(R"({"op": "Resize", "name": "a", "in": ["y"], "out": ["z"], "mode": "nearest", "scale": 16777216})"),
       {"'a'", "absurdly large"},
       ErrorKind::shape},
      {then(R"({"op": "Resize", "name": "a", "in": ["y"], "out": ["z"], "mode": "nearest", "scale": 2, "size": 2})"),
       {"'a'", "exactly one"},
       ErrorKind::shape},
      // weights
      {graph_of(R"([{"op": "Conv2d", "name": "c", "in": ["x"], "out": ["y"]}])"), {"node 'c'", "'weight'"}},
      {graph_of(R"([{"op": "Conv2d", "name": "c", "in": ["x"], "out": ["y"], "weight": "v"}])"),
       {"node 'c'", "no tensor 'v'"}},
      {graph_of(R"([{"op": "Conv2d", "name": "c", "in": ["x"], "out": ["y"], "weight": 5}])"),
       {"node 'c'", "'weight'", "text"}},
      {graph_of(R"([{"op": "Conv2d", "name": "c", "in": ["x"], "out": ["y"], "weight": "b"}])"),
       {"'c'", "(4)"},
       ErrorKind::shape},
      {graph_of(R"([{"op": "Conv2d", "name": "c", "in": ["x"], "out": ["y"], "weight": "w"}])"), {"no node", "'b'"}},
      {graph_of(R"([{"op": "Activation", "name": "a", "in": ["x"], "out": ["y"]}])"), {"no node", "'b'", "'w'"}},
      {then(R"({"op": "BatchNorm", "name": "a", "in": ["y"], "out": ["z"], "weight": "b", "bias": "b"})"),
       {"node 'a'", "'running_mean'"}},
      // outputs
      {graph_of("[{" + conv + "}]", R"([{"name": "x", "dtype": "f32"}])", R"([{"name": "o"}])"),
       {"output 'o'", "'value'"}},
      {graph_of("[{" + conv + "}]", R"([{"name": "x", "dtype": "f32"}])", R"([{"value": "y"}])"),
       {"output 0", "'name'"}},
      {graph_of("[{" + conv + "}]", R"([{"name": "x", "dtype": "f32"}])", R"([{"name": "o", "value": "q"}])"),
       {"output 'o'", "'q'"}},
      {graph_of("[{" + conv + "}]", R"([{"name": "x", "dtype": "f32"}])",
                R"([{"name": "o", "value": "y", "kind": "flow"}])"),
       {"output 'o'", "'flow'"}},
      {graph_of("[{" + conv + "}]", R"([{"name": "x", "dtype": "f32"}])",
                R"([{"name": "o", "value": "y", "scale": 0}])"),
       {"output 'o'", "'scale'"}},
      {graph_of("[{" + conv + "}]", R"([{"name": "x", "dtype": "f32"}])",
                R"([{"name": "o", "value": "y", "unit": "m"}])"),
       {"output 'o'", "'unit'"}},
      {graph_of("[{" + conv + "}]", R"([{"name": "x", "dtype": "f32"}])",
                R"([{"name": "o", "value": "y"}, {"name": "o", "value": "x"}])"),
       {"two outputs", "'o'"}},
  };
  REQUIRE_NOTHROW(graph_from_json(graph_of("[{" + conv + "}]"), weights(), 1, 32, 64));
  REQUIRE_NOTHROW(graph_from_json(then(relu), weights(), 1, 32, 64));
  for (const Case& c : cases) {
    INFO(c.text.substr(0, 400));
    CHECK_THROWS_MATCHES(graph_from_json(c.text, weights(), 1, 32, 64), Error, Fails(c.kind, c.parts));
  }
}

TEST_CASE("a graph is not built for absurd sizes", "[engine]") {
  const std::string text = graph_of("[{" + conv + "}]");
  for (const auto& [n, h, w] :
       {std::array{0, 32, 64}, {1, 0, 64}, {1, 32, -1}, {1, 16385, 64}, {1, 32, 1 << 30}, {1 << 30, 32, 64}})
    CHECK_THROWS_MATCHES(graph_from_json(text, weights(), n, h, w), Error,
                         Fails(ErrorKind::shape, {std::to_string(w) + "x" + std::to_string(h)}));
}

TEST_CASE("sizes that grow from node to node cannot overflow", "[engine]") {
  std::string nodes = "[{" + conv + "}";
  for (int k = 0; k < 60; ++k) {
    std::string node =
        R"(, {"op": "Resize", "name": "TO", "in": ["FROM"], "out": ["TO"], "mode": "nearest", "scale": [1, 4]})";
    for (std::size_t at; (at = node.find("TO")) != node.npos;) node.replace(at, 2, "u" + std::to_string(k));
    node.replace(node.find("FROM"), 4, k ? "u" + std::to_string(k - 1) : "y");
    nodes += node;
  }
  CHECK_THROWS_MATCHES(graph_from_json(graph_of(nodes + "]"), weights(), 1, 32, 64), Error,
                       Fails(ErrorKind::shape, {"absurdly large", "Resize 'u"}));
}
