#include "models/backbones/squeezenet.hpp"

namespace fathom {

namespace {

// Fire: relu(squeeze), then [relu(expand1x1), relu(expand3x3)]
Value fire(Network& g, const std::string& key, Value x, int squeeze, int expand) {
  const Value s = g.relu(g.conv(key + ".squeeze", x, {.out = squeeze, .kernel = 1, .bias = true}));
  const Value one = g.relu(g.conv(key + ".expand1x1", s, {.out = expand, .kernel = 1, .bias = true}));
  const Value three = g.relu(g.conv(key + ".expand3x3", s, {.out = expand, .padding = 1, .bias = true}));
  return g.concat({one, three}, key + ".cat");
}

}  // namespace

std::vector<Value> squeezenet(Network& g, const std::string& prefix, Value x) {
  const auto key = [&](std::size_t i) { return prefix + "features." + std::to_string(i); };
  std::vector<Value> f;
  f.push_back(g.conv(key(0), x, {.out = 64, .stride = 2, .bias = true}));  // (N, 64, H/2, W/2)
  f.push_back(g.relu(f[0]));
  struct Fire {
    int squeeze, expand;
  };  // expand each; squeeze 0: a pool
  const Fire layers[] = {{0, 0}, {16, 64},  {16, 64},  {0, 0},    {32, 128}, {32, 128},
                         {0, 0}, {48, 192}, {48, 192}, {64, 256}, {64, 256}};
  for (const Fire& l : layers) {
    const std::string k = key(f.size());
    f.push_back(l.squeeze ? fire(g, k, f.back(), l.squeeze, l.expand)
                          : g.add(Pool{.kernel = 3, .stride = 2, .ceil_mode = true}, {f.back()}, k));
  }
  return f;
}

}  // namespace fathom
