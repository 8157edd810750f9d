// Where one axis of an output reads its input: resizing and padding as tables, made once.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/step.hpp"

namespace fathom::reference {

// (1 - t) x[first] + t x[second]; first = -1 is a zero of the padding.
struct Tap {
  std::int64_t first = 0, second = 0;
  double t = 0;
};
using Taps = std::vector<Tap>;  // by output coordinate

struct MapTaps {
  Taps rows, cols;
};

// Of a resize of x to the extents of `resized`.
MapTaps taps_of(const Resize& resize, const Desc& x, const Desc& resized);
// Of reading every stride-th of what `inner` reads.
MapTaps every(Size2 stride, const MapTaps& inner);
// Of padding what `inner` reads.
MapTaps pad(const MapTaps& inner, const Padding& padding, PadMode mode);

inline double blend(double a, double b, double t) { return t == 0 ? a : (1 - t) * a + t * b; }

// The value at output (i, j) of channel c, image n.
template <class T>
double sample(const View<T, 4>& x, std::int64_t n, std::int64_t c, const Tap& i, const Tap& j) {
  if (i.first < 0 || j.first < 0) return 0;
  const double above = blend(x(n, c, i.first, j.first), x(n, c, i.first, j.second), j.t);
  return i.t == 0 ? above : blend(above, blend(x(n, c, i.second, j.first), x(n, c, i.second, j.second), j.t), i.t);
}

// The whole step of an op that does nothing but read its input by taps.
Step sampled(const Op& op, const NodeIo& io, MapTaps taps);

}  // namespace fathom::reference
