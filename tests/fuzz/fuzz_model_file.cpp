// Any bytes as a model file: Error is the only thing that may come out of it besides a network. Each input is tried as
// it is, and with a header length that fits, which few mutations would leave intact.
#include <cstring>

#include "fathom/error.hpp"
#include "tests/engine/use_model.hpp"

namespace {

void try_model(std::vector<std::byte> bytes) {
  try {
    fathom::use_model(fathom::SafetensorsFile::from_memory(std::move(bytes), "fuzz", 1 << 28));
  } catch (const fathom::Error& error) {
    if (std::string(error.what()).find('\n') != std::string::npos) throw;  // one line is what a user sees
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> bytes(begin, begin + size);
  try_model(bytes);
  std::uint64_t end = size;
  while (end > 8 && bytes[end - 1] != std::byte{'}'}) --end;
  if (end <= 8) return 0;
  end -= 8;
  std::memcpy(bytes.data(), &end, 8);
  try_model(std::move(bytes));
  return 0;
}
