#include "samples/colormap.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "fathom/error.hpp"

namespace fathom {
namespace {

// A place on a map's way through the colours: at t, this lightness (0 to 1), chroma (0 is grey) and hue in degrees.
struct Stop {
  double t, lightness, chroma, hue;
};

constexpr Stop magma[] = {{0.00, 0.14, 0.045, 285},  {0.25, 0.345, 0.14, 298}, {0.45, 0.51, 0.185, 338},
                          {0.65, 0.675, 0.175, 385}, {0.82, 0.82, 0.13, 425},  {1.00, 0.97, 0.055, 462}};
constexpr Stop viridis[] = {{0.00, 0.28, 0.12, 322},
                            {0.25, 0.44, 0.115, 283},
                            {0.50, 0.60, 0.095, 210},
                            {0.75, 0.76, 0.155, 152},
                            {1.00, 0.92, 0.185, 107}};
constexpr Stop turbo[] = {{0.00, 0.30, 0.10, 300}, {0.18, 0.53, 0.17, 268}, {0.38, 0.78, 0.125, 205},
                          {0.56, 0.90, 0.19, 135}, {0.72, 0.82, 0.16, 85},  {0.87, 0.62, 0.168, 46},
                          {1.00, 0.38, 0.135, 30}};
constexpr const char* names[] = {"magma", "viridis", "turbo", "grey"};

// Through all stops without overshooting: cubic between neighbours, its slopes the harmonic means of the chords'
// (Fritsch and Butland 1984), so that what rises at the stops rises everywhere.
double curve(std::span<const Stop> stops, double Stop::*member, double t) {
  const auto chord = [&](std::size_t i) {
    return (stops[i + 1].*member - stops[i].*member) / (stops[i + 1].t - stops[i].t);
  };
  const auto slope = [&](std::size_t i) {
    if (i == 0) return chord(0);
    if (i + 1 == stops.size()) return chord(i - 1);
    const double before = chord(i - 1), after = chord(i);
    return before * after > 0 ? 2 * before * after / (before + after) : 0;
  };
  std::size_t i = 0;
  while (i + 2 < stops.size() && t > stops[i + 1].t) ++i;
  const double width = stops[i + 1].t - stops[i].t, u = (t - stops[i].t) / width;
  const double low = stops[i].*member, high = stops[i + 1].*member;
  return low + u * u * (3 - 2 * u) * (high - low) + width * u * (1 - u) * ((1 - u) * slope(i) - u * slope(i + 1));
}

// Less chroma until the screen can show it; lightness and hue stay.
std::array<double, 3> shown(double lightness, double chroma, double hue_degrees) {
  const double hue = hue_degrees * std::numbers::pi / 180;
  const auto colour = [&](double c) { return oklab_to_srgb(lightness, c * std::cos(hue), c * std::sin(hue)); };
  const auto fits = [](const std::array<double, 3>& rgb) {
    return std::all_of(rgb.begin(), rgb.end(), [](double v) { return v > -1e-3 && v < 1 + 1e-3; });
  };
  if (fits(colour(chroma))) return colour(chroma);
  double least = 0, most = chroma;
  for (int step = 0; step < 30; ++step) (fits(colour((least + most) / 2)) ? least : most) = (least + most) / 2;
  return colour(least);
}

Colormap through(std::span<const Stop> stops) {
  Colormap map;
  for (int i = 0; i < 256; ++i) {
    const double t = i / 255.0;
    const auto rgb =
        shown(curve(stops, &Stop::lightness, t), curve(stops, &Stop::chroma, t), curve(stops, &Stop::hue, t));
    for (int c = 0; c < 3; ++c)
      map.rgb[i][c] = static_cast<std::uint8_t>(std::lround(255 * std::clamp(rgb[c], 0.0, 1.0)));
  }
  return map;
}

}  // namespace

// The two matrices and the cube between them define OKLab; the last step is sRGB's curve.
std::array<double, 3> oklab_to_srgb(double lightness, double a, double b) {
  const double l = std::pow(lightness + 0.3963377774 * a + 0.2158037573 * b, 3);
  const double m = std::pow(lightness - 0.1055613458 * a - 0.0638541728 * b, 3);
  const double s = std::pow(lightness - 0.0894841775 * a - 1.2914855480 * b, 3);
  const auto encode = [](double v) { return v <= 0.0031308 ? 12.92 * v : 1.055 * std::pow(v, 1 / 2.4) - 0.055; };
  return {encode(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
          encode(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
          encode(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s)};
}

std::span<const char* const> colormap_names() { return names; }

Colormap colormap(const std::string& name) {
  if (name == "magma") return through(magma);
  if (name == "viridis") return through(viridis);
  if (name == "turbo") return through(turbo);
  if (name == "grey" || name == "gray") {
    Colormap map;
    for (int i = 0; i < 256; ++i) map.rgb[i].fill(static_cast<std::uint8_t>(i));
    return map;
  }
  std::string known;
  for (const char* other : names) known += (known.empty() ? "" : ", ") + std::string(other);
  throw Error(ErrorKind::usage, "there is no colour map " + name + ": choose one of " + known);
}

}  // namespace fathom
