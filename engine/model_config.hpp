// What a model file says about its network beyond the architecture's name (`fathom.config`), with the architecture's
// defaults where it is silent: how a photograph becomes the input, and what the output means.
#pragma once

#include <string>
#include <vector>

#include "engine/graph.hpp"

namespace fathom {

enum class PhotoResize { lanczos, bilinear, none };  // antialiased, as Pillow does them; none: the photograph's own size
inline constexpr const char* photo_resize_names[] = {"lanczos", "bilinear", "none"};
template <>
inline constexpr std::span<const char* const> enum_names<PhotoResize> = photo_resize_names;

enum class Treatment { pad, fit };  // of sizes that a network does not divide: pad the input, or crop inside (DRNet)
inline constexpr const char* treatment_names[] = {"pad", "fit"};
template <>
inline constexpr std::span<const char* const> enum_names<Treatment> = treatment_names;

struct ModelConfig {
  int input_width = 640;  // the photograph is resized to this size, its aspect not kept
  int input_height = 192;
  PhotoResize resize = PhotoResize::lanczos;
  int crop_width = 0;  // then this much is cut from its centre; 0: nothing is cut
  int crop_height = 0;
  std::vector<float> mean = {0};  // (x / 255 - mean) / std, one for all channels or one each
  std::vector<float> std = {1};
  OutputKind output = OutputKind::disparity;  // of the primary output
  std::string unit = "relative";              // of depth: "m", or "relative" (up to scale)
  float scale = 1;                            // depth in the unit = scale * output (0.01 for centimetres)
  bool absolute = false;                      // a depth's sign means nothing: its magnitude is what counts (RefineNet)
  float min_depth = 0.1f;                     // of a disparity: depth = 1 / (1/max + (1/min - 1/max) d)
  float max_depth = 100;
  Treatment treatment = Treatment::pad;
  ResizeMode output_resize = ResizeMode::nearest;  // of a mobile baseline's last step; none: its map as it is

  template <class Self, class F>
  static void fields(Self& self, F&& f) {
    f("input_width", self.input_width), f("input_height", self.input_height), f("resize", self.resize);
    f("crop_width", self.crop_width), f("crop_height", self.crop_height), f("mean", self.mean), f("std", self.std);
    f("output", self.output), f("unit", self.unit), f("scale", self.scale), f("absolute", self.absolute);
    f("min_depth", self.min_depth), f("max_depth", self.max_depth), f("treatment", self.treatment);
    f("output_resize", self.output_resize);
  }
  bool operator==(const ModelConfig&) const = default;
};

}  // namespace fathom
