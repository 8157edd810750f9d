#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "engine/json.hpp"
#include "engine/safetensors.hpp"
#include "fathom/error.hpp"

namespace fathom {

namespace {

const char* type_name(DType dtype) {
  switch (dtype) {
    case DType::f32: return "F32";
    case DType::f16: return "F16";
    case DType::u8: return "U8";
    case DType::i64: return "I64";
  }
  return "?";
}

// A new file beside the target that takes its place when complete, and vanishes otherwise. Devices and pipes are
// written to directly; a link stays a link.
class FileInTheMaking {
 public:
  explicit FileInTheMaking(const std::string& target) : target_(target), place_(target) {
    struct stat there = {};
    if (::stat(target.c_str(), &there) == 0) {
      if (!S_ISREG(there.st_mode)) {
        descriptor_ = ::open(target.c_str(), O_WRONLY | O_CLOEXEC);
        if (descriptor_ < 0) fail();
        return;
      }
      if (const std::unique_ptr<char, decltype(&std::free)> real(::realpath(target.c_str(), nullptr), std::free); real)
        place_ = real.get();
    }
    for (int attempt = 0; descriptor_ < 0; ++attempt) {
      path_ = place_ + ".part-" + std::to_string(::getpid()) + "-" + std::to_string(attempt);
      descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (descriptor_ < 0 && (errno != EEXIST || attempt == 1000)) {
        path_.clear();
        fail();
      }
    }
  }
  ~FileInTheMaking() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  FileInTheMaking(const FileInTheMaking&) = delete;
  FileInTheMaking& operator=(const FileInTheMaking&) = delete;

  void write(const void* data, std::int64_t count) {
    const char* from = static_cast<const char*>(data);
    while (count > 0) {
      const ssize_t done = ::write(descriptor_, from, static_cast<std::size_t>(count));
      if (done < 0 && errno == EINTR) continue;
      if (done <= 0) fail();
      from += done, count -= done;
    }
  }

  // What a disk could not hold may be told only here.
  void finish() {
    if (::fsync(descriptor_) != 0 && errno != EINVAL) fail();
    const int closed = ::close(descriptor_);
    descriptor_ = -1;
    if (closed != 0 || (!path_.empty() && std::rename(path_.c_str(), place_.c_str()) != 0)) fail();
    path_.clear();
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(ErrorKind::file, "cannot write " + target_ + ": " + std::strerror(errno));
  }

  std::string target_;  // as the caller calls it
  std::string place_;   // the same, links followed
  std::string path_;    // of the file beside it; empty: there is none
  int descriptor_ = -1;
};

}  // namespace

NamedTensor NamedTensor::of(std::string name, const Tensor& tensor) {
  const void* data = tensor.data;
  return {std::move(name), tensor.desc,
          [data] { return std::shared_ptr<const void>(std::shared_ptr<const void>{}, data); }};
}

void write_safetensors(const std::string& path, std::vector<NamedTensor> tensors, const Metadata& metadata) {
  std::sort(tensors.begin(), tensors.end(), [](const NamedTensor& a, const NamedTensor& b) {
    const std::int64_t wide_a = size_of(a.desc.dtype), wide_b = size_of(b.desc.dtype);
    return wide_a != wide_b ? wide_a > wide_b : a.name < b.name;
  });
  auto header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::int64_t offset = 0;
  for (const NamedTensor& t : tensors) {
    if (!t.desc.is_dense())
      throw Error(ErrorKind::shape, "tensor " + in_quotes(t.name) + " must be dense to be written to " + path);
    const std::int64_t begin = offset;
    offset += t.desc.elements() * size_of(t.desc.dtype);
    auto entry = nlohmann::ordered_json::object();
    entry["dtype"] = type_name(t.desc.dtype);
    entry["shape"] = std::vector<std::int64_t>(t.desc.extent.begin(), t.desc.extent.begin() + t.desc.rank);
    entry["data_offsets"] = {begin, offset};
    if (t.name == "__metadata__" || t.name.empty())
      throw Error(ErrorKind::model, "a tensor cannot be named " + in_quotes(t.name));
    if (header.contains(t.name))
      throw Error(ErrorKind::model, "two tensors are named " + in_quotes(t.name) + " in " + path);
    header[t.name] = std::move(entry);
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorKind::model, "a name or the metadata of " + path + " is not UTF-8 text");
  }
  text.append((8 - text.size() % 8) % 8, ' ');  // so that tensors start at a multiple of 8

  FileInTheMaking file(path);
  const std::uint64_t header_bytes = text.size();
  file.write(&header_bytes, sizeof header_bytes);
  file.write(text.data(), static_cast<std::int64_t>(text.size()));
  for (const NamedTensor& t : tensors) file.write(t.bytes().get(), t.desc.elements() * size_of(t.desc.dtype));
  file.finish();
}

}  // namespace fathom
