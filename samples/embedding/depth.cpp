// The smallest C++ program that links Fathom: a grey ramp in, the nearest and the farthest depth out.
//   depth_cpp MODEL.safetensors
#include <algorithm>
#include <cstdio>
#include <fathom/fathom.hpp>

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: depth_cpp MODEL.safetensors\n"), 2;
  try {
    const fathom::Engine engine = fathom::Engine::load(argv[1]);  // share it between threads
    fathom::Session session = engine.session();                   // one per thread

    fathom::Image photo(320, 240);
    for (int y = 0; y < photo.height; ++y)
      for (int k = 0; k < 3 * photo.width; ++k) photo.row(y)[k] = static_cast<std::uint8_t>(y);

    const fathom::DepthMap depth = session.depth(photo);
    const auto [near, far] = std::minmax_element(depth.depth.begin(), depth.depth.end());
    std::printf("%s on %s: %dx%d, depth from %g to %g (%s)\n", engine.network().c_str(), engine.device().c_str(),
                depth.width, depth.height, *near, *far, depth.unit.c_str());
  } catch (const fathom::Error& e) {
    return std::fprintf(stderr, "depth_cpp: %s\n", e.what()), 1;
  }
}
