// The compact depth networks for one image or two, and the two readings of their channels, as data.
#pragma once

#include <array>

#include "models/architectures.hpp"

namespace fathom {

struct Cnd {
  std::array<int, 4> channels;  // after the up-blocks
  bool skip_before;             // the skip joins before the second up-block's convolution, or after it
  std::array<int, 4> residual;  // extended residual blocks after each up-block
  bool stereo = false;
};

// The reading closest to the published parameter counts, and the one that halves the channels as the text has it.
inline constexpr std::array<int, 4> cnd_counts_channels = {256, 256, 112, 16}, cnd_plain_channels = {128, 64, 32, 16};

void cnd(Network& g, const Frame& frame, const ModelConfig& config, const Cnd& kind);

}  // namespace fathom
