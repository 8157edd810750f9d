#include "engine/safetensors.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "engine/json.hpp"
#include "fathom/error.hpp"

namespace fathom {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "tensors are read as they stand in the file");

namespace {

constexpr std::int64_t length_bytes = 8;
constexpr std::int64_t longest_header = 100'000'000;
constexpr std::size_t longest_name = 1024;
constexpr std::size_t most_tensors = 100'000;
constexpr std::int64_t largest_extent = std::int64_t{1} << 40;

struct NamedType {
  const char* name;
  DType dtype;
};
constexpr NamedType types[] = {{"F32", DType::f32}, {"F16", DType::f16}, {"U8", DType::u8}, {"I64", DType::i64}};

[[noreturn]] void malformed(const std::string& text) { throw Error(ErrorKind::model, text); }

std::string count_text(std::int64_t bytes) { return std::to_string(bytes) + " bytes"; }

const json& member(const json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end()) malformed(where + " has no '" + key + "'");
  return *found;
}

std::int64_t whole_number(const json& value, const std::string& what) {
  if (!value.is_number_integer()) malformed(what + " is not a whole number");
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t(INT64_MAX))
    malformed(what + " is too large");
  const auto number = value.get<std::int64_t>();
  if (number < 0) malformed(what + " is negative: " + std::to_string(number));
  return number;
}

Desc read_desc(const json& entry, const std::string& where) {
  const json& dtype = member(entry, "dtype", where);
  if (!dtype.is_string()) malformed(where + ": dtype is not a text");
  const auto& name = dtype.get_ref<const std::string&>();
  const auto type =
      std::find_if(std::begin(types), std::end(types), [&](const NamedType& t) { return name == t.name; });
  if (type == std::end(types))
    malformed(where + " has dtype " + in_quotes(name) +
              "; F32, F16, U8 and I64 can be read: convert it to one of them");

  const json& shape = member(entry, "shape", where);
  if (!shape.is_array()) malformed(where + ": shape is not a list");
  if (shape.size() > 4)
    malformed(where + " has " + std::to_string(shape.size()) + " dimensions, at most 4 can be read");
  Desc desc;
  desc.dtype = type->dtype;
  std::int64_t elements = 1;
  for (const json& value : shape) {
    const std::string what = where + ": dimension " + std::to_string(desc.rank) + " of its shape";
    const std::int64_t extent = whole_number(value, what);
    if (extent == 0) malformed(what + " is 0");
    if (extent > largest_extent / elements)
      malformed(what + " makes the tensor absurdly large: " + std::to_string(extent));
    elements *= extent;
    desc.extent[desc.rank++] = extent;
  }
  std::int64_t step = 1;
  for (int r = desc.rank - 1; r >= 0; --r) desc.stride[r] = step, step *= desc.extent[r];
  return desc;
}

TensorEntry read_entry(const std::string& name, const json& entry, const std::string& where) {
  if (!entry.is_object()) malformed(where + " is not described by an object");
  for (const auto& [key, value] : entry.items())
    if (key != "dtype" && key != "shape" && key != "data_offsets")
      malformed(where + " has an unknown key " + in_quotes(key));
  TensorEntry result{name, read_desc(entry, where)};
  const json& offsets = member(entry, "data_offsets", where);
  if (!offsets.is_array() || offsets.size() != 2) malformed(where + ": data_offsets is not a pair of numbers");
  result.begin = whole_number(offsets[0], where + ": the begin of data_offsets");
  result.end = whole_number(offsets[1], where + ": the end of data_offsets");
  if (result.end < result.begin)
    malformed(where + " ends at byte " + std::to_string(result.end) + " before it begins at " +
              std::to_string(result.begin));
  const std::int64_t wanted = result.desc.elements() * size_of(result.desc.dtype);
  if (result.end - result.begin != wanted)
    malformed(where + " of shape " + shape_text(result.desc) + " has " + count_text(result.end - result.begin) +
              ", expected " + std::to_string(wanted));
  return result;
}

Metadata read_metadata(const json& header, const std::string& path) {
  Metadata metadata;
  const auto found = header.find("__metadata__");
  if (found == header.end()) return metadata;
  if (!found->is_object()) malformed(path + ": __metadata__ is not an object");
  for (const auto& [key, value] : found->items()) {
    if (!value.is_string()) malformed(path + ": the value of " + in_quotes(key) + " in __metadata__ is not a text");
    metadata[key] = value.get_ref<const std::string&>();
  }
  return metadata;
}

// Tensors must lie one after the other, without gaps, from the end of the header to the end of the file.
void check_placement(const std::vector<TensorEntry>& entries, std::int64_t data_bytes, const std::string& path) {
  std::vector<const TensorEntry*> order;
  for (const TensorEntry& e : entries) order.push_back(&e);
  std::sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->begin < b->begin; });
  std::int64_t at = 0;
  const TensorEntry* before = nullptr;
  for (const TensorEntry* e : order) {
    if (e->begin < at)
      malformed(path + ": the tensors " + in_quotes(before->name) + " and " + in_quotes(e->name) + " overlap");
    if (e->begin > at)
      malformed(path + ": " + count_text(e->begin - at) + " before tensor " + in_quotes(e->name) +
                " belong to no tensor");
    if (e->end > data_bytes)
      throw Error(ErrorKind::file, path + " is truncated: tensor " + in_quotes(e->name) + " ends " +
                                       count_text(e->end - data_bytes) + " beyond the end of the file");
    at = e->end, before = e;
  }
  if (at < data_bytes)
    malformed(path + ": the last " + count_text(data_bytes - at) + " of the file belong to no tensor");
}

// Every tensor is held as floats when it is used.
void check_budget(const std::vector<TensorEntry>& entries, std::int64_t budget_bytes, const std::string& path) {
  const TensorEntry* largest = nullptr;
  std::int64_t sum = 0;
  for (const TensorEntry& e : entries) {
    sum += e.desc.elements() * size_of(DType::f32);
    if (!largest || e.desc.elements() > largest->desc.elements()) largest = &e;
  }
  if (sum > budget_bytes)
    throw Error(ErrorKind::memory, path + ": the weights take " + count_text(sum) + ", the budget is " +
                                       std::to_string(budget_bytes) + " (the largest is " + in_quotes(largest->name) +
                                       " " + shape_text(largest->desc) + "): raise the budget or take a smaller model");
}

}  // namespace

std::shared_ptr<const SafetensorsFile> SafetensorsFile::open(const std::string& path, std::int64_t budget_bytes) {
  const std::shared_ptr<SafetensorsFile> file(new SafetensorsFile);
  file->path_ = path;
  // Not blocking: opening a named pipe would wait for a writer.
  file->descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status;
  if (file->descriptor_ < 0 || ::fstat(file->descriptor_, &status) != 0)
    throw Error(ErrorKind::file, "cannot open " + path + ": " + std::strerror(errno));
  if (S_ISDIR(status.st_mode)) throw Error(ErrorKind::file, path + " is a directory, expected a safetensors file");
  if (!S_ISREG(status.st_mode))
    throw Error(ErrorKind::file, path + " is not a regular file, expected a safetensors file");
  file->file_bytes_ = status.st_size;
  file->modified_s_ = status.st_mtim.tv_sec, file->modified_ns_ = status.st_mtim.tv_nsec;
  file->parse(budget_bytes);
  return file;
}

std::shared_ptr<const SafetensorsFile> SafetensorsFile::from_memory(std::vector<std::byte> bytes,
                                                                    const std::string& name,
                                                                    std::int64_t budget_bytes) {
  const std::shared_ptr<SafetensorsFile> file(new SafetensorsFile);
  file->path_ = name;
  file->memory_ = std::move(bytes);
  file->file_bytes_ = static_cast<std::int64_t>(file->memory_.size());
  file->parse(budget_bytes);
  return file;
}

SafetensorsFile::~SafetensorsFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void SafetensorsFile::parse(std::int64_t budget_bytes) {
  if (file_bytes_ < length_bytes)
    throw Error(ErrorKind::file, path_ + " is truncated or no safetensors file: it has " + count_text(file_bytes_) +
                                     ", the length of the header alone takes 8");
  std::uint64_t header_bytes = 0;
  read_at(0, length_bytes, reinterpret_cast<std::byte*>(&header_bytes), "the length of the header");
  if (header_bytes == 0) malformed(path_ + ": the length of the header is 0");
  if (header_bytes > std::uint64_t(longest_header))
    malformed(path_ + " is no safetensors file: its header would have " + std::to_string(header_bytes) +
              " bytes, at most " + std::to_string(longest_header) + " are read");
  data_offset_ = length_bytes + static_cast<std::int64_t>(header_bytes);
  if (data_offset_ > file_bytes_)
    throw Error(ErrorKind::file, path_ + " is truncated: its header has " + count_text(data_offset_ - length_bytes) +
                                     ", the file ends after " + std::to_string(file_bytes_ - length_bytes) +
                                     " of them");
  if (data_offset_ - length_bytes > budget_bytes)
    throw Error(ErrorKind::memory, path_ + ": the header takes " + count_text(data_offset_ - length_bytes) +
                                       ", the budget is " + std::to_string(budget_bytes));

  std::string text(static_cast<std::size_t>(header_bytes), '\0');
  read_at(length_bytes, data_offset_ - length_bytes, reinterpret_cast<std::byte*>(text.data()), "the header");
  const json header =
      parse_json(text, path_ + ": header", {.bytes = longest_header, .values = most_tensors * 20, .depth = 3});
  if (!header.is_object()) malformed(path_ + ": the header is not a JSON object");
  if (header.size() > most_tensors)
    malformed(path_ + ": " + std::to_string(header.size()) + " tensors, at most " + std::to_string(most_tensors) +
              " are read");
  metadata_ = read_metadata(header, path_);
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    if (name.empty()) malformed(path_ + ": a tensor has an empty name");
    if (name.size() > longest_name)
      malformed(path_ + ": the name of tensor " + in_quotes(name) + " has " +
                count_text(static_cast<std::int64_t>(name.size())) + ", at most " + std::to_string(longest_name) +
                " are read");
    if (has_control_characters(name))
      malformed(path_ + ": the name of tensor " + in_quotes(name) + " has control characters");
    entries_.push_back(read_entry(name, entry, path_ + ": tensor " + in_quotes(name)));
  }
  check_placement(entries_, file_bytes_ - data_offset_, path_);
  check_budget(entries_, budget_bytes, path_);
  std::sort(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

const TensorEntry* SafetensorsFile::find(std::string_view name) const {
  const auto found = std::lower_bound(entries_.begin(), entries_.end(), name,
                                      [](const TensorEntry& e, std::string_view wanted) { return e.name < wanted; });
  return found != entries_.end() && found->name == name ? &*found : nullptr;
}

void SafetensorsFile::check_unchanged() const {
  struct stat status;
  if (::fstat(descriptor_, &status) != 0)
    throw Error(ErrorKind::file, "cannot read " + path_ + ": " + std::strerror(errno));
  if (status.st_size != file_bytes_)
    throw Error(ErrorKind::file, path_ + " changed while it was in use: it had " + count_text(file_bytes_) +
                                     ", now it has " + std::to_string(status.st_size) + "; load it again");
  if (status.st_mtim.tv_sec != modified_s_ || status.st_mtim.tv_nsec != modified_ns_)
    throw Error(ErrorKind::file, path_ + " was written to while it was in use: load it again");
}

void SafetensorsFile::read_at(std::int64_t offset, std::int64_t count, std::byte* to, const std::string& what) const {
  if (descriptor_ < 0) {
    std::memcpy(to, memory_.data() + offset, static_cast<std::size_t>(count));
    return;
  }
  for (std::int64_t done = 0; done < count;) {
    const ssize_t got = ::pread(descriptor_, to + done, static_cast<std::size_t>(count - done), offset + done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(ErrorKind::file, "cannot read " + what + " of " + path_ + ": " + std::strerror(errno));
    if (got == 0) {
      check_unchanged();
      throw Error(ErrorKind::file, path_ + " ends within " + what);
    }
    done += got;
  }
  check_unchanged();
}

void SafetensorsFile::read(const TensorEntry& entry, std::byte* to) const {
  read_at(data_offset_ + entry.begin, entry.end - entry.begin, to, "tensor " + in_quotes(entry.name));
}

std::shared_ptr<const float[]> SafetensorsFile::read_floats(const TensorEntry& entry) const {
  const std::int64_t count = entry.desc.elements();
  if (entry.desc.dtype != DType::f32 && entry.desc.dtype != DType::f16)
    malformed(path_ + ": tensor " + in_quotes(entry.name) + " holds " + to_string(entry.desc.dtype) +
              ", expected F32 or F16");
  const auto floats = std::make_shared<Buffer>(count * size_of(DType::f32));
  if (entry.desc.dtype == DType::f32) {
    read(entry, floats->data());
  } else {
    const Buffer halves(entry.end - entry.begin);
    read(entry, halves.data());
    std::transform(halves.as<std::uint16_t>(), halves.as<std::uint16_t>() + count, floats->as<float>(), half_to_float);
  }
  return {floats, floats->as<float>()};
}

}  // namespace fathom
