// Batch sizes: a list of them as the user writes it, and the largest that fits into memory.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace fathom {

constexpr int most_images = 65535;  // of a batch: a CUDA grid has no more blocks behind each other
constexpr int largest_that_fits = 0;

// "1,2,8,max" -> {1, 2, 8, largest_that_fits}; throws Error{usage}.
std::vector<int> parse_batches(const std::string& text);

// The largest batch up to most_images that takes no more than the limit; 0 where one image takes more. `bytes_of` never
// falls; it is asked a few times where it is nearly a straight line.
int largest_batch(std::int64_t limit_bytes, const std::function<std::int64_t(int batch)>& bytes_of);

// What the system could give to programs now; throws Error{unsupported} where it does not say.
std::int64_t free_memory_bytes();

}  // namespace fathom
