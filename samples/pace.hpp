// When a camera's frames, which come as they can, belong into a video that has so many frames a second.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace fathom {

class Pace {
 public:
  explicit Pace(double fps) : fps_(fps) {}

  // The place of a frame seen at `seconds` is round(seconds * fps). Up to there the one before is shown again; where
  // the place is taken the frame is left out.
  struct Turn {
    std::int64_t again = 0;
    bool shown = false;
  };
  Turn next(double seconds) {
    const std::int64_t place = std::llround(seconds * fps_);
    if (place < filled_) return {};
    const Turn turn{filled_ == 0 ? 0 : place - filled_, true};
    filled_ = place + 1;
    return turn;
  }

 private:
  const double fps_;
  std::int64_t filled_ = 0;
};

}  // namespace fathom
