// The safetensors format: 8 bytes of header length (little-endian), a JSON header, then the bytes of all tensors.
//   {"conv.weight": {"dtype": "F32", "shape": [64, 3, 7, 7], "data_offsets": [0, 37632]}, "__metadata__": {"key":
//   "text"}}
//
// Any byte string ends either in a file whose tensors can be read, or in an Error that names what is wrong and where.
// The file is not mapped: one that shrinks while it is read gives an Error as well.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tensor.hpp"

namespace fathom {

// What a file's tensors may take in memory, as floats.
inline constexpr std::int64_t default_budget_bytes = std::int64_t{8} << 30;

using Metadata = std::map<std::string, std::string>;

struct TensorEntry {
  std::string name;
  Desc desc;                        // dense, of the dtype in the file
  std::int64_t begin = 0, end = 0;  // bytes, counted from the end of the header
};

// An open file: header read and checked, tensors read one at a time when asked for. Threads may share it.
class SafetensorsFile {
 public:
  static std::shared_ptr<const SafetensorsFile> open(const std::string& path,
                                                     std::int64_t budget_bytes = default_budget_bytes);
  static std::shared_ptr<const SafetensorsFile> from_memory(std::vector<std::byte> bytes,
                                                            const std::string& name = "memory",
                                                            std::int64_t budget_bytes = default_budget_bytes);
  ~SafetensorsFile();
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const std::string& path() const { return path_; }
  const std::vector<TensorEntry>& entries() const { return entries_; }  // by name
  const Metadata& metadata() const { return metadata_; }
  const TensorEntry* find(std::string_view name) const;  // null: there is none

  // The tensor's end - begin bytes as they stand in the file; Error{file} if the file has changed since it was opened.
  void read(const TensorEntry& entry, std::byte* to) const;
  // The numbers of an F32 or F16 tensor; Error{model} for others.
  std::shared_ptr<const float[]> read_floats(const TensorEntry& entry) const;

 private:
  SafetensorsFile() = default;
  void parse(std::int64_t budget_bytes);
  void read_at(std::int64_t offset, std::int64_t count, std::byte* to, const std::string& what) const;
  void check_unchanged() const;

  std::string path_;
  std::int64_t file_bytes_ = 0;
  std::int64_t data_offset_ = 0;
  int descriptor_ = -1;  // of a file
  std::int64_t modified_s_ = 0, modified_ns_ = 0;
  std::vector<std::byte> memory_;  // of bytes given
  std::vector<TensorEntry> entries_;
  Metadata metadata_;
};

// One tensor to be written. Its bytes are asked for when their turn comes, so that one tensor at a time is in memory.
struct NamedTensor {
  std::string name;
  Desc desc;  // dense
  std::function<std::shared_ptr<const void>()> bytes;

  // Of memory that outlives the writing.
  static NamedTensor of(std::string name, const Tensor& tensor);
};

// Writes a temporary file beside the target and renames it, so that a reader never sees half a file. Tensors are sorted
// as the format's own library does it: wide types first, then by name.
void write_safetensors(const std::string& path, std::vector<NamedTensor> tensors, const Metadata& metadata = {});

}  // namespace fathom
