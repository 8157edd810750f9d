// Whole files in and out. Writing either succeeds entirely or leaves what stood there before.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace fathom {

// Throws Error{file} that names the path: missing, a folder, not readable, larger than the limit.
std::vector<std::uint8_t> read_file(const std::filesystem::path& path,
                                    std::int64_t limit_bytes = std::int64_t{4} << 30);

// Written beside the target under another name, then renamed. Devices and pipes (/dev/stdout) are written directly.
// Throws Error{file}: no such folder, not allowed, disk full.
void write_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);
void write_file(const std::filesystem::path& path, const std::string& text);

}  // namespace fathom
