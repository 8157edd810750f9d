#include "kernels/reference/sampling.hpp"

#include <algorithm>

#include "kernels/reference/loops.hpp"

namespace fathom::reference {

namespace {

Tap whole(std::int64_t i) { return {i, i, 0}; }

// bilinear: half-pixel (i + 0.5) in/out - 0.5, clamped below · align_corners i (in - 1)/(out - 1)
Tap bilinear(std::int64_t i, std::int64_t in, std::int64_t out, bool align_corners) {
  double at = 0;
  if (!align_corners) {
    at = std::max(0.0, (static_cast<double>(i) + 0.5) * static_cast<double>(in) / static_cast<double>(out) - 0.5);
  } else if (out > 1) {
    at = static_cast<double>(i * (in - 1)) / static_cast<double>(out - 1);
  }
  const std::int64_t first = std::min(static_cast<std::int64_t>(at), in - 1);
  return {first, std::min(first + 1, in - 1), at - static_cast<double>(first)};
}

Taps axis(const Resize& resize, std::int64_t in, std::int64_t out) {
  Taps taps;
  for (std::int64_t i = 0; i < out; ++i) switch (resize.mode) {
      case ResizeMode::none: taps.push_back(whole(i)); break;
      case ResizeMode::nearest: taps.push_back(whole(nearest_index(i, in, out))); break;
      case ResizeMode::bilinear: taps.push_back(bilinear(i, in, out, resize.align_corners)); break;
    }
  return taps;
}

Taps every_axis(int stride, const Taps& inner) {
  Taps taps;
  for (std::size_t i = 0; i < inner.size(); i += static_cast<std::size_t>(stride)) taps.push_back(inner[i]);
  return taps;
}

Taps pad_axis(const Taps& inner, int before, int after, PadMode mode) {
  const auto size = static_cast<std::int64_t>(inner.size());
  Taps taps;
  for (std::int64_t i = -before; i < size + after; ++i) {
    std::int64_t at = i;
    if (mode == PadMode::reflect) at = i < 0 ? -i : i >= size ? 2 * (size - 1) - i : i;
    if (mode == PadMode::replicate) at = std::clamp<std::int64_t>(i, 0, size - 1);
    taps.push_back(at < 0 || at >= size ? whole(-1) : inner[static_cast<std::size_t>(at)]);
  }
  return taps;
}

}  // namespace

MapTaps taps_of(const Resize& resize, const Desc& x, const Desc& resized) {
  return {axis(resize, x.h(), resized.h()), axis(resize, x.w(), resized.w())};
}

MapTaps every(Size2 stride, const MapTaps& inner) {
  return {every_axis(stride.h, inner.rows), every_axis(stride.w, inner.cols)};
}

MapTaps pad(const MapTaps& inner, const Padding& p, PadMode mode) {
  return {pad_axis(inner.rows, p.top, p.bottom, mode), pad_axis(inner.cols, p.left, p.right, mode)};
}

Step sampled(const Op& op, const NodeIo& io, MapTaps taps) {
  Step step = begin(op, io);
  step.run = [taps = std::move(taps), data = Input(io.in[0]), out = io.out](const RunArgs& args) {
    const View<const float, 4> x = data(args);
    const View<float, 4> y = args.view<float>(out);
    for_each(out.desc, [&](auto n, auto c, auto i, auto j) {
      const Tap &row = taps.rows[static_cast<std::size_t>(i)], &column = taps.cols[static_cast<std::size_t>(j)];
      y(n, c, i, j) = static_cast<float>(sample(x, n, c, row, column));
    });
  };
  return step;
}

}  // namespace fathom::reference
