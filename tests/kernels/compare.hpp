// How far an output is from the wanted one: by its mean square, and by its largest error (a mean hides one wrong border
// pixel). What is not finite is counted apart and fails unless it was wanted in the same place.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <sstream>
#include <string>

namespace fathom::test {

struct Difference {
  double nmse = 0;             // sum (y - g)^2 / sum g^2
  double largest = 0;          // max |y - g| / max(max g - min g, 0.1 max |g|)
  std::size_t at = 0;          // where the largest is
  double got = 0, wanted = 0;  // there
  std::size_t not_finite = 0;  // places where one of the two is NaN or infinite and the other is not the same
  bool sizes_differ = false;

  // Written so that NaN fails.
  bool within(double tolerance) const {
    return !sizes_differ && not_finite == 0 && largest <= tolerance && nmse <= tolerance * tolerance;
  }
};

inline Difference compare(std::span<const float> got, std::span<const float> wanted) {
  Difference d;
  d.sizes_differ = got.size() != wanted.size();
  double low = INFINITY, high = -INFINITY, squares = 0, error_squares = 0, largest = -1;
  for (std::size_t k = 0; k < std::min(got.size(), wanted.size()); ++k) {
    const double y = got[k], g = wanted[k];
    if (!std::isfinite(y) || !std::isfinite(g)) {
      const bool same = (std::isnan(y) && std::isnan(g)) || y == g;
      if (!same && d.not_finite++ == 0 && largest < 0) d.at = k, d.got = y, d.wanted = g;
      continue;
    }
    low = std::min(low, g), high = std::max(high, g);
    squares += g * g, error_squares += (y - g) * (y - g);
    if (std::abs(y - g) > largest) {
      largest = std::abs(y - g);
      if (d.not_finite == 0) d.at = k, d.got = y, d.wanted = g;
    }
  }
  if (largest <= 0) return d;
  const double scale = std::max(high - low, 0.1 * std::max(std::abs(low), std::abs(high)));
  d.largest = scale > 0 ? largest / scale : INFINITY;  // wanted zeros only: nothing else will do
  d.nmse = squares > 0 ? error_squares / squares : INFINITY;
  return d;
}

inline std::string to_text(const Difference& d) {
  std::ostringstream text;
  if (d.sizes_differ) text << "sizes differ; ";
  if (d.not_finite) text << d.not_finite << " not finite; ";
  text << "largest error " << d.largest << ", nmse " << d.nmse << "; element " << d.at << " is " << d.got << ", wanted "
       << d.wanted;
  return text.str();
}

}  // namespace fathom::test
