// Weights and images from names alone, for running a network without trained weights: the same bits in any language.
//   u(name, k) = 2 (splitmix64_at(fnv1a64(name), k) >> 40) / 2^24 - 1        in [-1, 1), exact in float
//   splitmix64_at(s, k): z = s + (k + 1) 0x9E3779B97F4A7C15, then the usual three mixing steps, all modulo 2^64
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/network.hpp"

namespace fathom {

std::uint64_t fnv1a64(std::string_view text);
double synthetic_uniform(std::uint64_t name_hash, std::int64_t k);

// The values of a parameter depend on its key, its shape and the seed (u of "key", or of "key@seed" unless it is
// empty).
//   key ends in           rank   value (in double, rounded once)
//   num_batches_tracked          0
//   running_mean                 0.1 u
//   running_var                  1 + 0.5 u
//   anything else         >= 2   u sqrt(6 / fan_in), fan_in = elements / extent[0]
//   weight                < 2    0.5 + 0.25 u, the scale of a normalisation
//   anything else         < 2    0.1 u
std::vector<float> synthetic_parameter(const std::string& key, const Desc& desc, const std::string& seed = "");

// A smooth colour pattern with hashed noise, HWC; integer arithmetic only.
std::vector<std::uint8_t> synthetic_image(int height, int width, const std::string& name = "image", int channels = 3);

// Constants that compute their values when asked for them.
Weights synthetic_weights(std::span<const Parameter> parameters, const std::string& seed = "");

}  // namespace fathom
