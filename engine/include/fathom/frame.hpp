#pragma once

namespace fathom {

// How many pictures of what size a network runs on at once.
struct Frame {
  int batch = 1;
  int height = 0;
  int width = 0;
  bool operator==(const Frame&) const = default;
};

}  // namespace fathom
