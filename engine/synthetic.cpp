#include "engine/synthetic.hpp"

#include <cmath>

namespace fathom {

namespace {

std::uint64_t splitmix64_at(std::uint64_t seed, std::int64_t k) {
  std::uint64_t z = seed + (static_cast<std::uint64_t>(k) + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

}  // namespace

std::uint64_t fnv1a64(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (const char byte : text) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001B3u;
  return hash;
}

double synthetic_uniform(std::uint64_t name_hash, std::int64_t k) {
  return static_cast<double>(splitmix64_at(name_hash, k) >> 40) * 0x1p-23 - 1;
}

std::vector<float> synthetic_parameter(const std::string& key, const Desc& desc, const std::string& seed) {
  const std::int64_t count = desc.elements();
  std::vector<float> values(static_cast<std::size_t>(count));
  if (key.ends_with("num_batches_tracked")) return values;

  double shift = 0, scale = 0.1;
  if (key.ends_with("running_mean")) {
  } else if (key.ends_with("running_var")) {
    shift = 1, scale = 0.5;
  } else if (desc.rank >= 2) {
    const std::int64_t fan_in = count / desc.extent[0];
    scale = std::sqrt(6.0 / static_cast<double>(fan_in));
  } else if (key.ends_with("weight")) {
    shift = 0.5, scale = 0.25;
  }
  const std::uint64_t hash = fnv1a64(seed.empty() ? key : key + "@" + seed);
  for (std::int64_t k = 0; k < count; ++k)
    values[static_cast<std::size_t>(k)] = static_cast<float>(shift + scale * synthetic_uniform(hash, k));
  return values;
}

std::vector<std::uint8_t> synthetic_image(int height, int width, const std::string& name, int channels) {
  const std::uint64_t hash = fnv1a64(name);
  std::vector<std::uint8_t> image(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) *
                                  static_cast<std::size_t>(channels));
  std::size_t k = 0;
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x)
      for (std::int64_t c = 0; c < channels; ++c, ++k) {
        const std::int64_t slopes = x * (c + 1) * 200 / width + y * (channels - c) * 150 / height;
        const std::int64_t squares = (x / 16 + y / 16 + c) % 2 * 60;
        const auto noise = static_cast<std::int64_t>(splitmix64_at(hash, static_cast<std::int64_t>(k)) >> 59);
        image[k] = static_cast<std::uint8_t>((slopes + squares + noise) % 256);
      }
  return image;
}

Weights synthetic_weights(std::span<const Parameter> parameters, const std::string& seed) {
  Weights weights;
  for (const Parameter& p : parameters)
    weights[p.name] = std::make_shared<Constant>(Constant{p.desc, [key = p.name, desc = p.desc, seed] {
                                                            auto kept = std::make_shared<std::vector<float>>(
                                                                synthetic_parameter(key, desc, seed));
                                                            return std::shared_ptr<const float[]>(kept, kept->data());
                                                          }});
  return weights;
}

}  // namespace fathom
