// Colours that do not flicker: the range of a video's depth picture follows its frames slowly.
#pragma once

#include "samples/depth_picture.hpp"

namespace fathom {

class StableRange {
 public:
  // What a frame departs by is taken over by 63 percent within this time.
  explicit StableRange(double settling_seconds = 1) : settling_seconds_(settling_seconds) {}

  // The range for a frame that comes `seconds` after the one before.
  //   range <- range + (1 - exp(-seconds / settling)) (range of the frame - range)
  // A frame that has no inverse depth in common with the range begins a new scene: its own range at once. Frames
  // without any depth leave the range as it is.
  DisplayRange follow(const DepthMap& map, double seconds);

 private:
  double settling_seconds_;
  bool begun_ = false;
  DisplayRange range_;
};

}  // namespace fathom
