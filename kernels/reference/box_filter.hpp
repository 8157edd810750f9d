// The mean over a window that is clipped at the borders, summed directly.
#pragma once

#include <algorithm>
#include <cstdint>

namespace fathom::reference {

// mean of f(a, b) over the cells of an h x w map with |a - i| <= radius and |b - j| <= radius
template <class F>
double box_mean(std::int64_t h, std::int64_t w, std::int64_t i, std::int64_t j, int radius, F&& f) {
  const std::int64_t top = std::max<std::int64_t>(i - radius, 0), bottom = std::min<std::int64_t>(i + radius, h - 1);
  const std::int64_t left = std::max<std::int64_t>(j - radius, 0), right = std::min<std::int64_t>(j + radius, w - 1);
  double sum = 0;
  for (std::int64_t a = top; a <= bottom; ++a)
    for (std::int64_t b = left; b <= right; ++b) sum += f(a, b);
  return sum / static_cast<double>((bottom - top + 1) * (right - left + 1));
}

}  // namespace fathom::reference
