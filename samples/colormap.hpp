// Colours for numbers, made so that equal steps look equal: lightness and hue follow curves in OKLab, a space in which
// distance is close to what the eye sees (Ottosson 2020), computed here from those curves alone.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace fathom {

struct Colormap {
  std::array<std::array<std::uint8_t, 3>, 256> rgb;  // from 0 (far) to 1 (near)
  const std::array<std::uint8_t, 3>& at(float t) const {
    return rgb[t > 0 ? (t < 1 ? static_cast<std::size_t>(t * 255 + 0.5f) : 255) : 0];
  }
};

// "magma" near-black over violet and orange to a pale yellow, "viridis" violet over green to yellow, "turbo" a rainbow
// that is lightest in the middle, "grey". The first is the default. They are in the manner of the well-known maps of
// these names, not copies of them. Throws Error{usage} that lists the names.
Colormap colormap(const std::string& name);
std::span<const char* const> colormap_names();

// sRGB, each from 0 to 1 (beyond, where the screen has no such colour), of a colour in OKLab.
std::array<double, 3> oklab_to_srgb(double lightness, double a, double b);

}  // namespace fathom
