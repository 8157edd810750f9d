// From a photograph to the picture that a network reads.
#pragma once

#include "engine/model_config.hpp"
#include "fathom/image.hpp"

namespace fathom {

struct PixelSize {
  int width = 0, height = 0;
  bool operator==(const PixelSize&) const = default;
};

// The size to which the photograph is resized, and what the network sees of it after the crop.
PixelSize resized_size(const ModelConfig& config, PixelSize photo);
PixelSize network_size(const ModelConfig& config, PixelSize photo);

// Resized, its aspect not kept, and cropped, as the model file says; 8 bits still: the graph applies mean and std.
Image preprocess(const ImageView& photo, const ModelConfig& config, int threads = 0);

}  // namespace fathom
