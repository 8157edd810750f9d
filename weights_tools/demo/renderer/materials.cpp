// Random materials, each for a kind of thing. Colours are linear: 0.2 is a middle grey.
#include "furniture.hpp"

namespace demo {

namespace {

Vec3 from_hue(float hue, float saturation, float value) {
  const auto part = [&](float shift) {
    const float k = std::fmod(hue * 6 + shift, 6.0f), ramp = std::fmin(std::fmin(k, 4 - k), 1.0f);
    return value * (1 - saturation * std::fmax(0.0f, ramp));
  };
  return {part(5), part(3), part(1)};
}

Vec3 any_colour(Random& r, float saturation, float low, float high) {
  return from_hue(r.uniform(), r.uniform(0, saturation), r.uniform(low, high));
}

Vec3 wood_colour(Random& r) {
  const float value = r.uniform(0.05f, 0.6f);
  return Vec3{1, r.uniform(0.55f, 0.85f), r.uniform(0.25f, 0.65f)} * value;
}

}  // namespace

int Builder::material(const Material& m) {
  scene.materials.push_back(m);
  scene.materials.back().seed = random.bits();
  return static_cast<int>(scene.materials.size()) - 1;
}

int Builder::wall_paint() {
  Material m;
  m.a = any_colour(random, random.chance(0.8f) ? 0.1f : 0.5f, 0.1f, 0.85f);
  m.b = mix(m.a, any_colour(random, 0.4f, 0.1f, 0.7f), random.uniform(0.05f, 0.5f));
  m.c = m.a * random.uniform(0.3f, 0.8f);
  m.scale = random.uniform(0.2f, 1.5f);
  const float kind = random.uniform();
  m.pattern = kind < 0.45f   ? Pattern::plain
              : kind < 0.7f  ? Pattern::cloudy
              : kind < 0.8f  ? Pattern::bricks
              : kind < 0.86f ? Pattern::tiles
              : kind < 0.92f ? Pattern::panels
              : kind < 0.96f ? Pattern::stripes
                             : Pattern::print;
  if (m.pattern == Pattern::bricks) m.scale = random.uniform(0.2f, 0.45f);
  if (m.pattern == Pattern::tiles) m.scale = random.uniform(0.1f, 0.4f), m.b = m.a;
  return material(m);
}

int Builder::floor_cover() {
  Material m;
  const float kind = random.uniform();
  if (kind < 0.3f) {
    m.pattern = Pattern::planks, m.a = wood_colour(random), m.b = m.a * random.uniform(0.4f, 0.9f), m.c = m.a * 0.25f;
    m.scale = random.uniform(0.07f, 0.25f), m.gloss = random.uniform(0, 0.3f);
  } else if (kind < 0.5f) {
    m.pattern = Pattern::tiles, m.a = any_colour(random, 0.3f, 0.1f, 0.7f);
    m.b = random.chance(0.3f) ? any_colour(random, 0.3f, 0.05f, 0.7f) : m.a * 0.95f;
    m.c = m.a * random.uniform(0.3f, 0.8f), m.scale = random.uniform(0.2f, 0.7f), m.gloss = random.uniform(0, 0.5f);
  } else if (kind < 0.75f) {
    m.pattern = Pattern::cloudy, m.a = any_colour(random, 0.25f, 0.08f, 0.5f), m.b = m.a * random.uniform(0.4f, 0.9f);
    m.scale = random.uniform(0.2f, 1.5f), m.gloss = random.uniform(0, 0.4f);
  } else {
    m.pattern = random.chance(0.8f) ? Pattern::carpet : Pattern::speckle;
    m.a = any_colour(random, 0.6f, 0.05f, 0.5f), m.b = m.a * random.uniform(0.4f, 0.9f),
    m.c = any_colour(random, 0.6f, 0.05f, 0.6f);
  }
  return material(m);
}

int Builder::wooden() {
  Material m;
  m.pattern = Pattern::wood, m.a = wood_colour(random), m.b = m.a * random.uniform(0.35f, 0.85f);
  m.scale = random.uniform(0.5f, 1.5f), m.gloss = random.uniform(0, 0.25f);
  return material(m);
}

int Builder::furniture() {
  const float kind = random.uniform();
  if (kind < 0.4f) return wooden();
  Material m;
  m.pattern = kind < 0.85f ? Pattern::plain : Pattern::panels;
  m.a = any_colour(random, random.chance(0.7f) ? 0.15f : 0.8f, 0.03f, 0.85f), m.c = m.a * 0.5f;
  m.scale = random.uniform(0.3f, 0.6f), m.gloss = random.uniform(0, 0.3f);
  return material(m);
}

int Builder::colourful() {
  Material m;
  m.a = any_colour(random, 1, 0.05f, 0.9f), m.b = any_colour(random, 1, 0.05f, 0.9f),
  m.c = any_colour(random, 1, 0.02f, 0.9f);
  const float kind = random.uniform();
  m.pattern = kind < 0.5f    ? Pattern::plain
              : kind < 0.6f  ? Pattern::stripes
              : kind < 0.75f ? Pattern::print
              : kind < 0.9f  ? Pattern::poster
                             : Pattern::cloudy;
  m.scale = random.uniform(0.03f, 0.15f), m.gloss = random.uniform(0, 0.6f);
  return material(m);
}

int Builder::dark() {
  Material m;
  m.a = any_colour(random, 0.15f, 0.005f, 0.06f), m.gloss = random.uniform(0, 0.5f);
  return material(m);
}

int Builder::cloth() {
  Material m;
  m.a = any_colour(random, 0.9f, 0.03f, 0.7f), m.b = m.a * random.uniform(0.5f, 1),
  m.c = any_colour(random, 0.9f, 0.03f, 0.7f);
  const float kind = random.uniform();
  m.pattern = kind < 0.5f    ? Pattern::carpet
              : kind < 0.7f  ? Pattern::cloudy
              : kind < 0.85f ? Pattern::print
                             : Pattern::stripes;
  m.scale = random.uniform(0.05f, 0.4f);
  return material(m);
}

int Builder::metal() {
  Material m;
  m.a = any_colour(random, 0.1f, 0.05f, 0.6f), m.gloss = random.uniform(0.3f, 1);
  return material(m);
}

int Builder::paper() {
  Material m;
  m.pattern = Pattern::poster, m.a = any_colour(random, 0.3f, 0.4f, 0.9f), m.b = any_colour(random, 1, 0.05f, 0.8f);
  m.c = random.chance(0.7f) ? Vec3{0.03f, 0.03f, 0.04f} : any_colour(random, 1, 0.05f, 0.6f), m.scale = 0.15f;
  return material(m);
}

Primitive& Builder::box(const Stand& s, Vec3 centre, Vec3 half, int m, const Rotation& turn) {
  scene.primitives.push_back({Shape::box, s.origin + s.turn.to_world(centre), half, s.turn * turn, 1, m});
  return scene.primitives.back();
}

Primitive& Builder::ball(const Stand& s, Vec3 centre, Vec3 half, int m, const Rotation& turn) {
  Primitive& p = box(s, centre, half, m, turn);
  p.shape = Shape::ellipsoid;
  return p;
}

Primitive& Builder::tube(const Stand& s, Vec3 centre, Vec3 half, int m, float top, const Rotation& turn) {
  Primitive& p = box(s, centre, half, m, turn);
  p.shape = Shape::cone, p.top = top;
  return p;
}

}  // namespace demo
