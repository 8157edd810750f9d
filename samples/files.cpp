#include "samples/files.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

#include "fathom/error.hpp"

namespace fathom {
namespace {

namespace fs = std::filesystem;

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Closer>;

// Writes and closes; returns the error number, 0 when every byte arrived.
int put(const fs::path& path, std::span<const std::uint8_t> bytes) {
  File file(std::fopen(path.c_str(), "wb"));
  if (!file) return errno;
  if (std::fwrite(bytes.data(), 1, bytes.size(), file.get()) != bytes.size()) return errno ? errno : EIO;
  if (std::fflush(file.get()) != 0) return errno;
  if (fsync(fileno(file.get())) != 0 && errno != EINVAL && errno != ENOTSUP && errno != EROFS) return errno;
  return std::fclose(file.release()) != 0 ? errno : 0;
}

[[noreturn]] void fail(const fs::path& path, int error) {
  throw Error(ErrorKind::file, "cannot write " + path.string() + ": " + std::strerror(error));
}

}  // namespace

std::vector<std::uint8_t> read_file(const fs::path& path, std::int64_t limit_bytes) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (path.empty()) throw Error(ErrorKind::file, "the name of a file is empty");
  if (!fs::exists(status)) throw Error(ErrorKind::file, path.string() + ": no such file");
  if (fs::is_directory(status)) throw Error(ErrorKind::file, path.string() + " is a folder, not a file");
  const File file(std::fopen(path.c_str(), "rb"));
  if (!file) throw Error(ErrorKind::file, "cannot read " + path.string() + ": " + std::strerror(errno));

  // In growing pieces, as the size of a pipe or device is not known beforehand.
  std::vector<std::uint8_t> bytes;
  const std::uintmax_t known = fs::is_regular_file(status) ? fs::file_size(path, ignored) : 0;
  std::size_t piece = known > 0 && known <= static_cast<std::uintmax_t>(limit_bytes) ? known + 1 : 1 << 16;
  for (;;) {
    const std::size_t before = bytes.size();
    try {
      bytes.resize(before + piece);
    } catch (const std::exception&) {
      throw Error(ErrorKind::memory, "no memory to read " + path.string());
    }
    const std::size_t got = std::fread(bytes.data() + before, 1, piece, file.get());
    bytes.resize(before + got);
    if (got < piece) break;
    if (bytes.size() > static_cast<std::uint64_t>(limit_bytes))
      throw Error(ErrorKind::file, path.string() + " is larger than " + std::to_string(limit_bytes >> 20) + " MiB");
    piece = bytes.size();
  }
  if (std::ferror(file.get()))
    throw Error(ErrorKind::file, "cannot read " + path.string() + ": " + std::strerror(errno));
  return bytes;
}

void write_file(const fs::path& path, std::span<const std::uint8_t> bytes) {
  std::error_code ignored;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, ignored))
    throw Error(ErrorKind::file, "cannot write " + path.string() + ": there is no folder " + folder.string());
  const fs::file_status status = fs::status(path, ignored);
  if (fs::is_directory(status)) throw Error(ErrorKind::file, "cannot write " + path.string() + ": it is a folder");
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    if (const int error = put(path, bytes)) fail(path, error);
    return;
  }
  // A link stays a link: what it points to is replaced.
  const fs::path target =
      fs::is_symlink(fs::symlink_status(path, ignored)) ? fs::weakly_canonical(path, ignored) : path;
  fs::path beside = target;
  beside += ".part" + std::to_string(getpid());
  int error = put(beside, bytes);
  if (!error && std::rename(beside.c_str(), target.c_str()) != 0) error = errno;
  if (error) {
    fs::remove(beside, ignored);
    fail(path, error);
  }
}

void write_file(const fs::path& path, const std::string& text) {
  write_file(path, std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

}  // namespace fathom
