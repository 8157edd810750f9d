// Vectors, rotations and random numbers of the scene renderer.
#pragma once

#include <cmath>
#include <cstdint>

namespace demo {

struct Vec3 {
  float x = 0, y = 0, z = 0;
};

inline Vec3 operator+(Vec3 a, Vec3 b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
inline Vec3 operator-(Vec3 a, Vec3 b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
inline Vec3 operator*(Vec3 a, Vec3 b) { return {a.x * b.x, a.y * b.y, a.z * b.z}; }
inline Vec3 operator/(Vec3 a, Vec3 b) { return {a.x / b.x, a.y / b.y, a.z / b.z}; }
inline Vec3 operator*(Vec3 a, float s) { return {a.x * s, a.y * s, a.z * s}; }
inline Vec3 operator-(Vec3 a) { return {-a.x, -a.y, -a.z}; }
inline Vec3& operator+=(Vec3& a, Vec3 b) { return a = a + b; }
inline float dot(Vec3 a, Vec3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
inline Vec3 cross(Vec3 a, Vec3 b) { return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x}; }
inline float length(Vec3 a) { return std::sqrt(dot(a, a)); }
inline Vec3 unit(Vec3 a) { return a * (1 / length(a)); }
inline Vec3 mix(Vec3 a, Vec3 b, float t) { return a * (1 - t) + b * t; }

// An orthonormal frame: world = x * local.x + y * local.y + z * local.z.
struct Rotation {
  Vec3 x = {1, 0, 0}, y = {0, 1, 0}, z = {0, 0, 1};
  Vec3 to_world(Vec3 p) const { return x * p.x + y * p.y + z * p.z; }
  Vec3 to_local(Vec3 p) const { return {dot(x, p), dot(y, p), dot(z, p)}; }
};

inline Rotation operator*(const Rotation& a, const Rotation& b) {
  return {a.to_world(b.x), a.to_world(b.y), a.to_world(b.z)};
}
inline Rotation yaw(float a) { return {{std::cos(a), 0, -std::sin(a)}, {0, 1, 0}, {std::sin(a), 0, std::cos(a)}}; }
inline Rotation pitch(float a) { return {{1, 0, 0}, {0, std::cos(a), std::sin(a)}, {0, -std::sin(a), std::cos(a)}}; }
inline Rotation roll(float a) { return {{std::cos(a), std::sin(a), 0}, {-std::sin(a), std::cos(a), 0}, {0, 0, 1}}; }

inline std::uint32_t hash(std::uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}
inline std::uint32_t hash(int x, int y, int z, std::uint32_t seed) {
  return hash(static_cast<std::uint32_t>(x) * 73856093u ^ static_cast<std::uint32_t>(y) * 19349663u ^
              static_cast<std::uint32_t>(z) * 83492791u ^ seed * 2654435769u);
}
inline float fraction(std::uint32_t bits) { return static_cast<float>(bits >> 8) * (1.0f / 16777216.0f); }

// splitmix64: the same numbers everywhere, unlike the distributions of <random>.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint32_t bits() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return static_cast<std::uint32_t>(z >> 32);
  }
  float uniform(float low = 0, float high = 1) { return low + (high - low) * fraction(bits()); }
  bool chance(float p) { return uniform() < p; }
  int below(int n) { return static_cast<int>(bits() % static_cast<std::uint32_t>(n)); }
  int between(int low, int high) { return low + below(high - low + 1); }
  float normal(float mean = 0, float deviation = 1) {
    const float r = std::sqrt(-2 * std::log(1 - uniform() * 0.9999999f));
    return mean + deviation * r * std::cos(6.2831853f * uniform());
  }

 private:
  std::uint64_t state_;
};

}  // namespace demo
