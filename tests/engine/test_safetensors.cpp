// Reading and writing safetensors: every dtype and rank, lazily, through a file that may change or a disk that may be
// full.
#include "engine/safetensors.hpp"

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include <sys/resource.h>
#include <sys/stat.h>

#include "fathom/error.hpp"
#include "tests/catch.hpp"
#include "tests/engine/temporary.hpp"

using namespace fathom;

namespace {

template <class T>
NamedTensor tensor(const std::string& name, std::initializer_list<std::int64_t> extents, DType dtype,
                   std::vector<T>& values) {
  return NamedTensor::of(name, {Desc::dense(extents, dtype), values.data()});
}

}  // namespace

TEST_CASE("safetensors written are read back", "[engine]") {
  const TemporaryFolder folder;
  std::vector<float> map = {1.5f, -2, 3, 4, 5, 6, 7, 8}, scalar = {0.25f}, vector = {9, 10, 11};
  std::vector<std::uint16_t> halves = {0x3c00, 0xc000, 0x7bff, 0x0001};
  std::vector<std::uint8_t> bytes = {0, 7, 255};
  std::vector<std::int64_t> counter = {123456789012345};
  write_safetensors(folder / "x.safetensors",
                    {tensor("vector", {3}, DType::f32, vector), tensor("map", {1, 2, 2, 2}, DType::f32, map),
                     tensor("scalar", {}, DType::f32, scalar), tensor("halves", {2, 2}, DType::f16, halves),
                     tensor("bytes", {3, 1, 1}, DType::u8, bytes), tensor("count \"é\"", {}, DType::i64, counter)},
                    {{"key", "value"}, {"fathom.config", "{\"a\": 1}"}});

  const auto file = SafetensorsFile::open(folder / "x.safetensors");
  CHECK(file->metadata() == Metadata{{"key", "value"}, {"fathom.config", "{\"a\": 1}"}});
  std::vector<std::string> names;
  for (const TensorEntry& e : file->entries()) names.push_back(e.name);
  CHECK(names == std::vector<std::string>{"bytes", "count \"é\"", "halves", "map", "scalar", "vector"});
  CHECK(file->find("nothing") == nullptr);
  CHECK(file->find("map")->desc == Desc::dense({1, 2, 2, 2}));
  CHECK(file->find("scalar")->desc == Desc::dense({}));
  CHECK(file->find("bytes")->desc == Desc::dense({3, 1, 1}, DType::u8));
  // Wide types first, then by name; the header is padded, so that every tensor is aligned.
  CHECK(file->find("count \"é\"")->begin == 0);
  CHECK(file->find("map")->begin == 8);
  CHECK(file->find("bytes")->end == file->find("bytes")->begin + 3);

  const auto floats = [&](const char* name) {
    const auto values = file->read_floats(*file->find(name));
    return std::vector<float>(values.get(), values.get() + file->find(name)->desc.elements());
  };
  CHECK(floats("map") == map);
  CHECK(floats("scalar") == scalar);
  CHECK(floats("vector") == vector);
  CHECK(floats("halves") == std::vector<float>{1, -2, 65504, 0x1p-24f});
  std::int64_t count = 0;
  file->read(*file->find("count \"é\""), reinterpret_cast<std::byte*>(&count));
  CHECK(count == counter[0]);
  CHECK_THROWS_MATCHES(file->read_floats(*file->find("bytes")), Error, Fails(ErrorKind::model, {"'bytes'", "u8"}));
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);  // nothing temporary is left
}

TEST_CASE("a golden file is read", "[engine]") {
  const std::filesystem::path folder = std::filesystem::path(FATHOM_SOURCE_DIR) / "tests/golden";
  int read = 0;
  for (const auto& item : std::filesystem::directory_iterator(folder)) {
    if (item.path().extension() != ".safetensors") continue;
    CHECK_FALSE(SafetensorsFile::open(item.path())->entries().empty());
    ++read;
  }
  CHECK(read >= 40);
}

TEST_CASE("writing fails with a reason and leaves nothing behind", "[engine]") {
  const TemporaryFolder folder;
  std::vector<float> values(4096, 1.f);
  const NamedTensor t = tensor("t", {4096}, DType::f32, values);
  CHECK_THROWS_MATCHES(write_safetensors(folder / "no/where.safetensors", {t}), Error,
                       Fails(ErrorKind::file, {"no/where.safetensors", "No such file"}));
  CHECK_THROWS_MATCHES(write_safetensors(folder.path, {t}), Error,
                       Fails(ErrorKind::file, {folder.path.c_str(), "directory"}));
  CHECK_THROWS_MATCHES(write_safetensors(folder / "twice", {t, t}), Error,
                       Fails(ErrorKind::model, {"'t'", "two tensors"}));
  CHECK_THROWS_MATCHES(write_safetensors(folder / "x", {tensor("\xff", {4096}, DType::f32, values)}), Error,
                       Fails(ErrorKind::model, {"UTF-8"}));

  // A disk that is full: this process may write no more than 4096 bytes into a file.
  struct rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit tight = {4096, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &tight);
  std::string text;
  try {
    write_safetensors(folder / "full", {t});
  } catch (const Error& e) {
    text = e.what();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK(text.find("cannot write") != std::string::npos);
  CHECK(text.find("full") != std::string::npos);
  CHECK(std::filesystem::is_empty(folder.path));
}

TEST_CASE("a file that changes while it is in use is noticed", "[engine]") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.safetensors";
  std::vector<float> values(1024, 1.f);
  const auto write = [&] { write_safetensors(path, {tensor("t", {1024}, DType::f32, values)}); };
  const auto read = [](const SafetensorsFile& file) { file.read_floats(*file.find("t")); };

  write();
  auto file = SafetensorsFile::open(path);
  read(*file);
  std::filesystem::resize_file(path, 2000);
  CHECK_THROWS_MATCHES(read(*file), Error,
                       Fails(ErrorKind::file, {"x.safetensors", "changed while it was in use", "2000"}));

  write();
  file = SafetensorsFile::open(path);
  std::filesystem::last_write_time(path, std::filesystem::last_write_time(path) + std::chrono::seconds(1));
  CHECK_THROWS_MATCHES(read(*file), Error, Fails(ErrorKind::file, {"x.safetensors", "was written to"}));

  // One that is replaced or deleted is still the one that was opened.
  write();
  file = SafetensorsFile::open(path);
  values[5] = 7;
  write();
  CHECK(file->read_floats(*file->find("t"))[5] == 1);
  std::filesystem::remove(path);
  CHECK_NOTHROW(read(*file));
}

TEST_CASE("what is no safetensors file is refused by name", "[engine]") {
  const TemporaryFolder folder;
  CHECK_THROWS_MATCHES(SafetensorsFile::open(folder / "none"), Error, Fails(ErrorKind::file, {"cannot open", "none"}));
  CHECK_THROWS_MATCHES(SafetensorsFile::open(folder.path), Error, Fails(ErrorKind::file, {"directory"}));
  CHECK_THROWS_MATCHES(SafetensorsFile::open("/dev/zero"), Error,
                       Fails(ErrorKind::file, {"/dev/zero", "not a regular file"}));
  std::ofstream(folder / "photo.png") << "\x89PNG\r\n\x1a\nand so on, and so on";
  CHECK_THROWS_MATCHES(SafetensorsFile::open(folder / "photo.png"), Error,
                       Fails(ErrorKind::model, {"photo.png", "no safetensors file"}));
}

TEST_CASE("a pipe is written to and a link followed, neither is replaced", "[engine]") {
  const TemporaryFolder folder;
  float value = 1;
  const auto write = [&](const std::string& path) {
    write_safetensors(path, {NamedTensor::of("a", {Desc::dense({1}), &value})}, {});
  };
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  std::string read;
  std::thread reader([&] {
    std::ifstream pipe(folder / "pipe", std::ios::binary);
    read.assign(std::istreambuf_iterator<char>(pipe), {});
  });
  write(folder / "pipe");
  reader.join();
  CHECK(std::filesystem::is_fifo(folder / "pipe"));

  write(folder / "file");
  std::ifstream file(folder / "file", std::ios::binary);
  CHECK(read == std::string(std::istreambuf_iterator<char>(file), {}));

  value = 2;
  std::filesystem::create_symlink("file", folder / "link");
  write(folder / "link");
  CHECK(std::filesystem::is_symlink(folder / "link"));
  const auto again = SafetensorsFile::open(folder / "file");
  CHECK(again->read_floats(*again->find("a"))[0] == 2);
  CHECK_THROWS_MATCHES(write(folder.path), Error, Fails(ErrorKind::file, {folder.path}));
}
