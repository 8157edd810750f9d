// Procedural surfaces. Colours are linear; lengths are metres.
#include <algorithm>

#include "scene.hpp"

namespace demo {

namespace {

struct Point2 {
  float u, v;
};

Point2 on_face(Vec3 p, int axis) {
  return axis == 0 ? Point2{p.z, p.y} : axis == 1 ? Point2{p.x, p.z} : Point2{p.x, p.y};
}
float wrap(float x) { return x - std::floor(x); }
int cell(float x) { return static_cast<int>(std::floor(x)); }

// Noise of several sizes: half as strong at half the size.
float fractal(Vec3 p, std::uint32_t seed, int octaves) {
  float sum = 0, weight = 0.5f, total = 0;
  for (int k = 0; k < octaves; ++k, weight *= 0.55f, p = p * 2.07f) {
    sum += weight * value_noise(p, seed + static_cast<std::uint32_t>(k) * 101u);
    total += weight;
  }
  return sum / total;
}

Vec3 wood(const Material& m, Vec3 p) {
  const float grain = value_noise(Vec3{p.x * 1.2f, p.y * 14, p.z * 14} * (1 / m.scale), m.seed) * 0.65f +
                      value_noise(p * (40 / m.scale), m.seed + 1) * 0.35f;
  return mix(m.a, m.b, grain);
}

Vec3 palette(std::uint32_t h) {
  const float bright = 0.05f + 0.75f * fraction(hash(h + 3)), colour = fraction(hash(h + 4));
  const Vec3 hue = {fraction(hash(h)), fraction(hash(h + 1)), fraction(hash(h + 2))};
  return mix(Vec3{1, 1, 1}, hue, colour) * bright;
}

// A page, a label or a painting: patches of colour, and lines of writing.
Vec3 poster(const Material& m, Point2 q) {
  const float u = q.u / m.scale, v = q.v / m.scale;
  Vec3 colour = m.a;
  if (m.seed % 3 == 0)  // a photograph: soft blobs
    colour =
        mix(mix(m.a, m.b, value_noise({u * 3, v * 3, 0}, m.seed)), m.c, value_noise({u * 5, v * 5, 5}, m.seed + 1));
  for (std::uint32_t k = 0; k < 5; ++k) {
    const std::uint32_t h = hash(m.seed * 31 + k);
    const float du = u - (fraction(h) - 0.5f) * 1.6f, dv = v - (fraction(hash(h + 1)) - 0.5f) * 1.6f;
    const float wide = 0.08f + 0.4f * fraction(hash(h + 2)), high = 0.08f + 0.4f * fraction(hash(h + 3));
    const bool inside =
        h & 1 ? std::abs(du) < wide && std::abs(dv) < high : du * du / (wide * wide) + dv * dv / (high * high) < 1;
    if (inside) colour = palette(h);
  }
  if (m.seed % 2 == 0 && wrap(v * 9) < 0.45f && fraction(hash(cell(u * 22), cell(v * 9), 0, m.seed)) < 0.7f &&
      std::abs(u) < 0.7f)
    colour = m.c;
  return colour;
}

Vec3 bricks(const Material& m, Point2 q) {
  const float v = q.v / (0.35f * m.scale);
  const float u = q.u / m.scale + (cell(v) & 1 ? 0.5f : 0);
  if (wrap(u) < 0.05f || wrap(v) < 0.12f) return m.c;
  return mix(m.a, m.b, fraction(hash(cell(u), cell(v), 0, m.seed)));
}

}  // namespace

float value_noise(Vec3 p, std::uint32_t seed) {
  const int x = cell(p.x), y = cell(p.y), z = cell(p.z);
  const auto smooth = [](float f) { return f * f * (3 - 2 * f); };
  const float fx = smooth(p.x - static_cast<float>(x)), fy = smooth(p.y - static_cast<float>(y)),
              fz = smooth(p.z - static_cast<float>(z));
  const auto at = [&](int i, int j, int k) { return fraction(hash(x + i, y + j, z + k, seed)); };
  const auto along = [&](int j, int k) { return at(0, j, k) * (1 - fx) + at(1, j, k) * fx; };
  const auto plane = [&](int k) { return along(0, k) * (1 - fy) + along(1, k) * fy; };
  return plane(0) * (1 - fz) + plane(1) * fz;
}

Vec3 albedo(const Material& m, Vec3 p, int axis) {
  const Point2 q = on_face(p, axis);
  const float u = q.u / m.scale, v = q.v / m.scale;
  switch (m.pattern) {
    case Pattern::plain: return m.a * (0.94f + 0.12f * value_noise(p * 7, m.seed));
    case Pattern::cloudy: return mix(m.a, m.b, fractal(p * (1 / m.scale), m.seed, 4));
    case Pattern::wood: return wood(m, p);
    case Pattern::planks: {
      const float shade = fraction(hash(cell(v), 7, 0, m.seed)), joint = wrap(u / 6 + shade * 3);
      if (wrap(v) < 0.03f || joint < 0.004f) return m.c;
      return wood(m, p + Vec3{shade * 9, 0, 0}) * (0.75f + 0.5f * shade);
    }
    case Pattern::tiles: {
      if (wrap(u) < 0.04f || wrap(v) < 0.04f) return m.c;
      const bool odd = (cell(u) + cell(v)) & 1;
      return (odd ? m.a : m.b) * (0.9f + 0.2f * fraction(hash(cell(u), cell(v), 0, m.seed)));
    }
    case Pattern::stripes:
      return wrap(m.seed & 1 ? u : v) < 0.5f ? m.a : wrap(m.seed & 2 ? u * 2 : v * 0.5f) < 0.3f ? m.c : m.b;
    case Pattern::bricks: return bricks(m, q) * (0.8f + 0.4f * value_noise(p * 25, m.seed));
    case Pattern::carpet:
      return mix(m.a, m.b, 0.5f * value_noise(p * 90, m.seed) + 0.5f * fractal(p * 3, m.seed + 9, 3));
    case Pattern::poster: return poster(m, q);
    case Pattern::speckle:
      return value_noise(p * (30 / m.scale), m.seed) > 0.72f      ? m.c
             : value_noise(p * (55 / m.scale), m.seed + 1) > 0.7f ? m.b
                                                                  : m.a;
    case Pattern::panels: {
      const float du = std::min(wrap(u), 1 - wrap(u)), dv = std::min(wrap(v), 1 - wrap(v));
      return std::min(du, dv) < 0.025f ? m.c : m.a * (0.95f + 0.1f * value_noise(p * 5, m.seed));
    }
    case Pattern::print: {  // a fabric's or a wrapping's figures
      const float d = fraction(hash(cell(u * 2), cell(v * 2), 0, m.seed));
      const float du = wrap(u * 2) - 0.5f, dv = wrap(v * 2) - 0.5f;
      return du * du + dv * dv < 0.03f + 0.15f * d ? (d > 0.5f ? m.b : m.c) : m.a;
    }
  }
  return m.a;
}

}  // namespace demo
