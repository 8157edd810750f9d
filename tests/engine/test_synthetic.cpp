// Synthetic weights and images against numbers that the formula's Python twin printed: a few of them in full, all of
// them by a hash of their bytes.
#include "engine/synthetic.hpp"

#include <filesystem>

#include "engine/safetensors.hpp"
#include "tests/catch.hpp"

using namespace fathom;

namespace {

template <class T>
std::uint64_t hash_of(const std::vector<T>& values) {
  return fnv1a64({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)});
}

}  // namespace

TEST_CASE("synthetic numbers come from names alone", "[engine]") {
  const std::uint64_t hash = fnv1a64("encoder.conv1.weight");
  CHECK(hash == 0x18af8f52a40ee846u);
  CHECK(static_cast<float>(synthetic_uniform(hash, 0)) == 0.933756f);
  CHECK(static_cast<float>(synthetic_uniform(hash, 3)) == -0.3249191f);
}

TEST_CASE("synthetic parameters equal the Python formula bit for bit", "[engine]") {
  struct Case {
    const char* key;
    Desc desc;
    const char* seed;
    float first, middle, last;
    std::uint64_t hash;
  };
  const Case cases[] = {
      {"encoder.conv1.weight", Desc::dense({64, 3, 7, 7}), "", 0x1.825976p-3f, -0x1.1d73e6p-3f, -0x1.5ddb38p-3f,
       0x9ce4547ee3157691u},
      {"encoder.conv1.weight", Desc::dense({64, 3, 7, 7}), "7", -0x1.37114ap-3f, -0x1.995e4ep-4f, 0x1.b27e52p-7f,
       0xb6c70c5140c10d25u},
      {"bn1.running_mean", Desc::dense({5}), "", 0x1.801f6cp-5f, 0x1.13e3ccp-7f, 0x1.5ee666p-4f, 0xb29d1671e99a7286u},
      {"bn1.running_var", Desc::dense({5}), "", 0x1.246e44p+0f, 0x1.7884f6p+0f, 0x1.d5405ap-1f, 0xcfbe33b7e151950cu},
      {"bn1.weight", Desc::dense({5}), "", 0x1.b86ca8p-2f, 0x1.11b64cp-1f, 0x1.c7dc44p-2f, 0xa5614e31e54aa015u},
      {"bn1.bias", Desc::dense({5}), "", -0x1.0c8970p-4f, 0x1.30bd74p-4f, -0x1.0b4c9ap-4f, 0x069a73b0440e23c4u},
      {"fc.weight", Desc::dense({10, 512}), "", -0x1.b3b882p-9f, -0x1.bcb336p-5f, 0x1.cd1abap-5f, 0xe4ef906d48eee037u},
      {"odd.bias", Desc::dense({2, 3}), "", 0x1.32f5aep-1f, -0x1.58d664p-5f, -0x1.f3ea26p-2f, 0x16fffb3fd5fe1fa6u},
      {"scalar", Desc::dense({}), "", -0x1.703344p-4f, -0x1.703344p-4f, -0x1.703344p-4f, 0x501ae3b10d53d8bbu},
      {"scalar.weight", Desc::dense({}), "", 0x1.112bfcp-1f, 0x1.112bfcp-1f, 0x1.112bfcp-1f, 0x0291fc6fb921e519u},
      {"deep.running_var", Desc::dense({3, 4}), "", 0x1.daccb8p-1f, 0x1.1abf20p+0f, 0x1.8a7e68p-1f,
       0xbffc7054057651f1u},
      {"bn1.num_batches_tracked", Desc::dense({}), "", 0, 0, 0, 0x4d25767f9dce13f5u},
  };
  for (const Case& c : cases) {
    INFO(c.key << " @ " << c.seed);
    const std::vector<float> values = synthetic_parameter(c.key, c.desc, c.seed);
    REQUIRE(static_cast<std::int64_t>(values.size()) == c.desc.elements());
    CHECK(values.front() == c.first);
    CHECK(values[values.size() / 2] == c.middle);
    CHECK(values.back() == c.last);
    CHECK(hash_of(values) == c.hash);
  }
}

TEST_CASE("synthetic images equal the Python formula bit for bit", "[engine]") {
  const std::vector<std::uint8_t> small = synthetic_image(5, 7);
  CHECK(std::vector<int>(small.begin(), small.begin() + 9) == std::vector<int>{22, 90, 20, 29, 125, 95, 78, 193, 174});
  CHECK(hash_of(small) == 0x0ee2a31462c29c4fu);
  CHECK(hash_of(synthetic_image(192, 640)) == 0xfea4dfe76761c34au);
  CHECK(hash_of(synthetic_image(96, 128, "photo", 1)) == 0x2648214803af261bu);

  const std::string golden = std::string(FATHOM_SOURCE_DIR) + "/tests/golden/hr_depth_96x128.safetensors";
  const auto file = SafetensorsFile::open(golden);
  const TensorEntry* entry = file->find("input.image");
  REQUIRE(entry);
  std::vector<std::uint8_t> image(static_cast<std::size_t>(entry->end - entry->begin));
  file->read(*entry, reinterpret_cast<std::byte*>(image.data()));
  CHECK(image == synthetic_image(96, 128));
}

TEST_CASE("synthetic weights are made when asked for", "[engine]") {
  const std::vector<Parameter> parameters = {{"conv.weight", Desc::dense({4, 3, 3, 3})},
                                             {"bn.num_batches_tracked", Desc::dense({}, DType::i64), false}};
  const Weights weights = synthetic_weights(parameters, "7");
  REQUIRE(weights.size() == 2);
  CHECK(weights.at("bn.num_batches_tracked")->desc.dtype == DType::i64);
  const auto values = weights.at("conv.weight")->values();
  CHECK(std::vector<float>(values.get(), values.get() + 108) ==
        synthetic_parameter("conv.weight", Desc::dense({4, 3, 3, 3}), "7"));
}
