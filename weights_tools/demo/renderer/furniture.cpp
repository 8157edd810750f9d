#include "furniture.hpp"

#include <algorithm>
#include <initializer_list>

namespace demo {

namespace {

constexpr float pi = 3.14159265f;

void add_legs(Builder& b, const Stand& s, float half_x, float half_z, float height, int m) {
  const float r = b.random.uniform(0.012f, 0.035f);
  const bool round = b.random.chance(0.4f);
  for (const float x : {-1.0f, 1.0f})
    for (const float z : {-1.0f, 1.0f}) {
      const Vec3 centre = {x * (half_x - r), height / 2, z * (half_z - r)}, half = {r, height / 2, r};
      round ? b.tube(s, centre, half, m) : b.box(s, centre, half, m);
    }
}

void add_books(Builder& b, const Stand& s, float width, float depth, float room) {
  for (float x = -width / 2; x < width / 2;) {
    if (b.random.chance(0.06f)) x += b.random.uniform(0.03f, 0.25f);  // a gap
    const float thick = b.random.uniform(0.015f, 0.06f), high = room * b.random.uniform(0.5f, 0.95f),
                deep = depth * b.random.uniform(0.55f, 0.95f);
    if (x + thick > width / 2) break;
    b.box(s, {x + thick / 2, high / 2, depth / 2 - deep / 2}, {thick * 0.48f, high / 2, deep / 2}, b.colourful(),
          b.random.chance(0.1f) ? roll(b.random.uniform(-0.2f, 0.2f)) : Rotation{});
    x += thick;
  }
}

}  // namespace

void add_screen(Builder& b, const Stand& s) {
  Random& r = b.random;
  const float w = r.uniform(0.17f, 0.33f), h = w * r.uniform(0.56f, 0.8f), lift = r.uniform(0.04f, 0.16f);
  const int frame = r.chance(0.6f) ? b.dark() : b.metal(), stand = r.chance(0.5f) ? frame : b.metal();
  const Rotation tilt = pitch(r.uniform(-0.05f, 0.2f));
  b.box(s, {0, lift + h, 0}, {w, h, 0.02f}, frame, tilt);
  int face = b.dark();
  if (r.chance(0.4f))
    face = b.paper(), b.scene.materials[face].glow = r.uniform(0, 0.8f), b.scene.materials[face].scale = w;
  b.box(s, {0, lift + h, -0.015f}, {w * 0.93f, h * 0.91f, 0.012f}, face, tilt);
  b.tube(s, {0, lift / 2 + h * 0.3f, 0.05f}, {0.03f, lift / 2 + h * 0.3f, 0.02f}, stand);
  r.chance(0.6f) ? b.tube(s, {0, 0.01f, 0.02f}, {w * 0.5f, 0.012f, 0.11f}, stand, 0.9f)
                 : b.box(s, {0, 0.01f, 0.02f}, {w * 0.5f, 0.01f, 0.1f}, stand);
}

void add_clutter(Builder& b, const Stand& s) {
  Random& r = b.random;
  switch (r.below(13)) {
    case 0: {  // a cup with its handle
      const float radius = r.uniform(0.03f, 0.05f), h = r.uniform(0.03f, 0.06f);
      const int m = b.colourful();
      b.tube(s, {0, h, 0}, {radius * 0.85f, h, radius * 0.85f}, m, 1.15f);
      b.tube(s, {0, 2 * h + 0.0005f, 0}, {radius * 0.82f, 0.001f, radius * 0.82f}, b.dark());
      b.box(s, {radius * 1.2f, h, 0}, {0.015f, h * 0.6f, 0.006f}, m);
      break;
    }
    case 1:  // a can
      b.tube(s, {0, 0.06f, 0}, {0.033f, 0.06f, 0.033f}, b.colourful());
      b.tube(s, {0, 0.121f, 0}, {0.028f, 0.002f, 0.028f}, b.metal());
      break;
    case 2: {  // a bottle
      const float radius = r.uniform(0.03f, 0.05f), h = r.uniform(0.07f, 0.12f);
      const int m = b.colourful();
      b.tube(s, {0, h, 0}, {radius, h, radius}, m);
      b.tube(s, {0, 2 * h + 0.025f, 0}, {radius, 0.025f, radius}, m, 0.35f);
      b.tube(s, {0, 2 * h + 0.07f, 0}, {radius * 0.35f, 0.03f, radius * 0.35f}, b.colourful());
      break;
    }
    case 3:  // sheets of paper, a mat
      for (int k = r.between(1, 4); k > 0; --k)
        b.box(s, {r.uniform(-0.08f, 0.08f), 0.002f * static_cast<float>(k), r.uniform(-0.08f, 0.08f)},
              {r.uniform(0.06f, 0.12f), 0.001f, r.uniform(0.08f, 0.16f)}, b.paper(), yaw(r.uniform(-1, 1)));
      break;
    case 4: {  // a pile of books
      float y = 0;
      for (int k = r.between(1, 6); k > 0; --k) {
        const float h = r.uniform(0.007f, 0.025f);
        b.box(s, {0, y + h, 0}, {r.uniform(0.07f, 0.12f), h, r.uniform(0.09f, 0.15f)}, b.colourful(),
              yaw(r.normal(0, 0.3f)));
        y += 2 * h;
      }
      break;
    }
    case 5: {  // a box, perhaps with another on it
      const Vec3 half = {r.uniform(0.03f, 0.14f), r.uniform(0.02f, 0.14f), r.uniform(0.03f, 0.12f)};
      b.box(s, {0, half.y, 0}, half, b.colourful());
      if (r.chance(0.3f))
        b.box(s, {0, 2 * half.y + 0.03f, 0}, {half.x * 0.7f, 0.03f, half.z * 0.8f}, b.colourful(),
              yaw(r.normal(0, 0.4f)));
      break;
    }
    case 6: {  // a ball, a globe on its foot
      const float radius = r.uniform(0.03f, 0.16f), lift = r.chance(0.4f) ? 0.06f : 0;
      const int m = b.colourful();
      b.scene.materials[m].scale *= 2;
      b.ball(s, {0, radius + lift, 0}, {radius, radius, radius}, m);
      if (lift > 0) b.tube(s, {0, lift / 2, 0}, {radius * 0.6f, lift / 2, radius * 0.6f}, b.dark(), 0.5f);
      break;
    }
    case 7: {  // a keyboard and a mouse
      const int body = r.chance(0.6f) ? b.dark() : b.furniture();
      Material keys;
      keys.pattern = Pattern::tiles, keys.scale = 0.02f, keys.a = b.scene.materials[body].a * r.uniform(0.7f, 2),
      keys.b = keys.a, keys.c = keys.a * 0.3f;
      b.box(s, {0, 0.012f, 0}, {0.22f, 0.012f, 0.08f}, body);
      b.box(s, {0, 0.02f, 0}, {0.21f, 0.008f, 0.07f}, b.material(keys));
      b.ball(s, {0.32f, 0.01f, 0}, {0.03f, 0.025f, 0.055f}, b.dark());
      break;
    }
    case 8: {  // a lamp
      const float h = r.uniform(0.15f, 0.3f);
      b.tube(s, {0, 0.01f, 0}, {0.08f, 0.01f, 0.08f}, b.metal());
      b.tube(s, {0, h, 0}, {0.01f, h, 0.01f}, b.metal());
      const int shade = b.colourful();
      b.scene.materials[shade].glow = r.chance(0.4f) ? r.uniform(0.3f, 1.5f) : 0;
      b.tube(s, {0, 2 * h, 0}, {0.12f, 0.07f, 0.12f}, shade, r.uniform(0.3f, 0.9f));
      break;
    }
    case 9: add_plant(b, s, r.uniform(0.2f, 0.6f)); break;
    case 10: {  // a telephone, a stapler, a tape: low and rounded
      const int m = r.chance(0.5f) ? b.dark() : b.furniture();
      b.box(s, {0, 0.03f, 0}, {0.08f, 0.02f, 0.1f}, m, pitch(r.uniform(0, 0.3f)));
      b.ball(s, {-0.05f, 0.065f, 0}, {0.025f, 0.02f, 0.1f}, m);
      break;
    }
    case 11:  // a bag, a soft toy
      for (int k = r.between(1, 5); k > 0; --k) {
        const float size = r.uniform(0.03f, 0.11f);
        b.ball(s, {r.normal(0, 0.04f), size + r.uniform(0, 0.12f), r.normal(0, 0.04f)},
               {size, size * r.uniform(0.6f, 1.4f), size}, b.cloth());
      }
      break;
    default: {  // pens in a pot
      b.tube(s, {0, 0.05f, 0}, {0.035f, 0.05f, 0.035f}, b.colourful());
      for (int k = r.between(1, 5); k > 0; --k)
        b.tube(s, {r.normal(0, 0.01f), 0.11f, r.normal(0, 0.01f)}, {0.004f, 0.08f, 0.004f}, b.colourful(), 1,
               roll(r.normal(0, 0.15f)) * pitch(r.normal(0, 0.15f)));
    }
  }
}

void add_table(Builder& b, const Stand& s, float width, float depth, float height, int clutter) {
  Random& r = b.random;
  const int top = r.chance(0.5f) ? b.wooden() : b.furniture(), leg = r.chance(0.5f) ? top : b.metal();
  const float thick = r.uniform(0.01f, 0.03f), x = width / 2, z = depth / 2;
  if (r.chance(0.15f)) {  // round, on one foot
    b.tube(s, {0, height - thick, 0}, {x, thick, z}, top);
    b.tube(s, {0, height / 2, 0}, {0.05f, height / 2, 0.05f}, leg);
    b.tube(s, {0, 0.02f, 0}, {x * 0.5f, 0.02f, z * 0.5f}, leg, 0.7f);
  } else {
    b.box(s, {0, height - thick, 0}, {x, thick, z}, top);
    const float kind = r.uniform();
    if (kind < 0.6f) add_legs(b, s, x * 0.97f, z * 0.95f, height - thick, leg);
    if (kind >= 0.6f)
      for (const float side : {-1.0f, 1.0f})
        b.box(s, {side * (x - 0.03f), height / 2, 0}, {0.02f, height / 2 - thick, z * 0.9f}, leg);
    if (kind > 0.45f) b.box(s, {x - 0.25f, height * 0.55f, 0}, {0.2f, height * 0.4f, z * 0.85f}, b.furniture());
    if (kind > 0.8f) b.box(s, {0, height * 0.65f, z * 0.8f}, {x * 0.95f, height * 0.3f, 0.01f}, leg);
  }
  const Stand on = s.at({0, height, 0});
  b.scene.tables.push_back({on.origin, on.turn, x, z});
  for (int screens = clutter > 3 && r.chance(0.6f) ? r.between(1, 2) : 0; screens > 0; --screens)
    add_screen(b, on.at({r.uniform(-0.6f, 0.6f) * x, 0, r.uniform(0, 0.6f) * z}, r.normal(0, 0.4f)));
  for (int k = 0; k < clutter; ++k)
    add_clutter(b, on.at({r.uniform(-0.9f, 0.9f) * x, 0, r.uniform(-0.9f, 0.9f) * z}, r.uniform(-pi, pi)));
}

void add_chair(Builder& b, const Stand& s) {
  Random& r = b.random;
  const float w = r.uniform(0.2f, 0.27f), seat = r.uniform(0.4f, 0.5f), back = r.uniform(0.18f, 0.38f);
  const int m = r.chance(0.5f) ? b.cloth() : b.furniture(), leg = r.chance(0.5f) ? b.metal() : b.dark();
  const bool soft = r.chance(0.4f);
  const Rotation lean = pitch(-r.uniform(0, 0.25f));
  soft ? b.ball(s, {0, seat, 0}, {w * 1.15f, 0.06f, w * 1.15f}, m) : b.box(s, {0, seat, 0}, {w, 0.025f, w}, m);
  const Vec3 centre = {0, seat + 0.12f + back, w};
  soft ? b.ball(s, centre, {w * 1.1f, back * 1.15f, 0.06f}, m, lean) : b.box(s, centre, {w, back, 0.02f}, m, lean);
  b.box(s, {0, seat + 0.1f, w}, {0.03f, 0.12f, 0.015f}, leg);
  if (r.chance(0.4f)) {  // an office chair: a pole and a star of feet
    b.tube(s, {0, seat / 2, 0}, {0.03f, seat / 2, 0.03f}, leg);
    for (int k = 0; k < 5; ++k) {
      const Stand foot = s.at({0, 0.07f, 0}, static_cast<float>(k) * 2 * pi / 5);
      b.box(foot, {0.16f, 0, 0}, {0.16f, 0.015f, 0.02f}, leg, roll(-0.12f));
      b.ball(foot, {0.31f, -0.04f, 0}, {0.03f, 0.03f, 0.03f}, leg);
    }
    if (r.chance(0.6f))
      for (const float side : {-1.0f, 1.0f})
        b.box(s, {side * (w + 0.04f), seat + 0.2f, 0}, {0.03f, 0.015f, w * 0.8f}, leg);
  } else {
    add_legs(b, s, w, w, seat, leg);
  }
  b.scene.objects.push_back({s.origin + Vec3{0, seat, 0}, s.turn, w, w});
}

void add_cabinet(Builder& b, const Stand& s, float width, float depth, float height) {
  Random& r = b.random;
  const int m = b.furniture(), front = r.chance(0.6f) ? m : b.furniture(), knob = b.metal();
  const float x = width / 2, z = depth / 2;
  b.box(s, {0, height / 2, 0}, {x, height / 2, z}, m);
  const int across = std::max(1, static_cast<int>(width / r.uniform(0.35f, 0.8f))),
            up = r.between(1, height > 1.2f ? 3 : 4);
  const float step_x = width / static_cast<float>(across), step_y = (height - 0.06f) / static_cast<float>(up);
  for (int i = 0; i < across; ++i)
    for (int j = 0; j < up; ++j) {
      const Vec3 c = {-x + step_x * (static_cast<float>(i) + 0.5f), 0.05f + step_y * (static_cast<float>(j) + 0.5f),
                      -z};
      b.box(s, c, {step_x * 0.48f, step_y * 0.48f, 0.012f}, front);
      b.box(s, c + Vec3{step_x * 0.35f, 0, -0.02f}, {0.012f, step_y * 0.12f, 0.012f}, knob);
    }
  b.scene.objects.push_back({s.origin + Vec3{0, height / 2, 0}, s.turn, x, z});
  if (height < 1.5f) {
    const Stand on = s.at({0, height, 0});
    b.scene.tables.push_back({on.origin, on.turn, x, z});
    for (int k = r.below(6); k > 0; --k)
      add_clutter(b, on.at({r.uniform(-0.85f, 0.85f) * x, 0, r.uniform(-0.7f, 0.7f) * z}, r.uniform(-pi, pi)));
  } else if (r.chance(0.3f)) {
    add_boxes(b, s.at({0, height, 0}));
  }
}

void add_shelf(Builder& b, const Stand& s, float width, float depth, float height) {
  Random& r = b.random;
  const int m = r.chance(0.6f) ? b.wooden() : b.metal();
  const float x = width / 2, z = depth / 2, board = r.uniform(0.008f, 0.02f), gap = r.uniform(0.25f, 0.5f);
  if (r.chance(0.7f))
    for (const float side : {-1.0f, 1.0f}) b.box(s, {side * x, height / 2, 0}, {board, height / 2, z}, m);
  else
    add_legs(b, s, x, z, height, m);
  if (r.chance(0.7f)) b.box(s, {0, height / 2, z}, {x, height / 2, 0.008f}, m);
  for (float y = 0.08f; y < height; y += gap) {
    b.box(s, {0, y, 0}, {x, board, z}, m);
    const Stand on = s.at({0, y + board, 0});
    const float kind = r.uniform();
    if (kind < 0.5f) add_books(b, on, width * 0.94f, depth, gap * 0.9f);
    if (kind >= 0.5f && kind < 0.9f)
      for (int k = r.between(1, 5); k > 0; --k)
        add_clutter(b, on.at({r.uniform(-0.8f, 0.8f) * x, 0, r.uniform(-0.5f, 0.5f) * z}, r.uniform(-pi, pi)));
  }
  b.scene.objects.push_back({s.origin + Vec3{0, height / 2, 0}, s.turn, x, z});
}

void add_sofa(Builder& b, const Stand& s, float width) {
  Random& r = b.random;
  const int m = b.cloth(), cushion = r.chance(0.5f) ? m : b.cloth();
  const float x = width / 2, back = r.uniform(0.2f, 0.35f);
  b.box(s, {0, 0.2f, 0}, {x, 0.2f, 0.42f}, m);
  b.box(s, {0, 0.4f + back, 0.34f}, {x, back, 0.1f}, m, pitch(-0.15f));
  for (const float side : {-1.0f, 1.0f}) b.box(s, {side * x, 0.32f, 0}, {0.1f, 0.32f, 0.42f}, m);
  for (int k = r.between(0, 4); k > 0; --k)
    b.ball(s, {r.uniform(-0.8f, 0.8f) * x, 0.52f, r.uniform(-0.1f, 0.15f)}, {0.22f, 0.2f, 0.09f}, b.cloth(),
           pitch(-0.4f));
  b.box(s, {0, 0.42f, -0.05f}, {x * 0.96f, 0.05f, 0.36f}, cushion);
  b.scene.objects.push_back({s.origin + Vec3{0, 0.4f, 0}, s.turn, x, 0.4f});
}

void add_bed(Builder& b, const Stand& s) {
  Random& r = b.random;
  const float x = r.uniform(0.45f, 0.9f), lift = r.uniform(0.2f, 0.45f);
  b.box(s, {0, lift / 2, 0}, {x, lift / 2, 1}, b.furniture());
  b.box(s, {0, lift + 0.08f, 0}, {x * 0.98f, 0.09f, 0.98f}, b.cloth());
  b.box(s, {0, lift + 0.12f, -0.3f}, {x * 1.01f, 0.08f, 0.7f}, b.cloth());
  b.box(s, {0, lift + 0.25f, 1.02f}, {x * 1.02f, lift * 0.5f + 0.25f, 0.03f}, b.furniture());
  for (int k = r.between(1, 3); k > 0; --k)
    b.ball(s, {r.uniform(-0.6f, 0.6f) * x, lift + 0.24f, 0.75f}, {0.3f, 0.09f, 0.2f}, b.cloth(),
           yaw(r.normal(0, 0.2f)));
  b.scene.objects.push_back({s.origin + Vec3{0, lift, 0}, s.turn, x, 1});
}

void add_plant(Builder& b, const Stand& s, float height) {
  Random& r = b.random;
  const float pot = height * r.uniform(0.1f, 0.18f);
  b.tube(s, {0, pot, 0}, {pot * 0.8f, pot, pot * 0.8f}, b.colourful(), 1.25f);
  Material leaf;
  leaf.pattern = Pattern::cloudy, leaf.a = {r.uniform(0.02f, 0.15f), r.uniform(0.12f, 0.4f), r.uniform(0.02f, 0.1f)};
  leaf.b = leaf.a * 0.5f, leaf.scale = 0.1f;
  const int m = b.material(leaf);
  const bool blades = r.chance(0.5f);
  for (int k = r.between(10, 40); k > 0; --k) {
    const Rotation turn = yaw(r.uniform(-pi, pi)) * pitch(r.uniform(0.1f, blades ? 0.9f : 1.6f));
    const float size = height * (blades ? r.uniform(0.25f, 0.45f) : r.uniform(0.06f, 0.14f));
    const float at = blades ? size : height * r.uniform(0.15f, 0.5f);
    const Vec3 centre = Vec3{0, 2 * pot, 0} + turn.to_world({0, at, 0});
    b.ball(s, centre, blades ? Vec3{height * 0.022f, size, 0.004f} : Vec3{size * 0.6f, size, 0.006f}, m, turn);
  }
}

void add_boxes(Builder& b, const Stand& s) {
  Random& r = b.random;
  float y = 0, size = r.uniform(0.14f, 0.35f);
  for (int k = r.between(1, 4); k > 0; --k) {
    const Vec3 half = {size * r.uniform(0.8f, 1.2f), size * r.uniform(0.4f, 1), size * r.uniform(0.7f, 1.1f)};
    if (y + half.y > 1) break;
    const int m = r.chance(0.5f) ? b.furniture() : b.colourful();
    b.scene.materials[m].scale = size * r.uniform(0.3f, 1.2f);
    b.box(s, {r.normal(0, 0.03f), y + half.y, r.normal(0, 0.03f)}, half, m, yaw(r.normal(0, 0.25f)));
    y += 2 * half.y, size *= r.uniform(0.6f, 1);
  }
}

void add_floor_thing(Builder& b, const Stand& s) {
  Random& r = b.random;
  switch (r.below(8)) {
    case 0: {  // a bin
      const float radius = r.uniform(0.12f, 0.25f), h = r.uniform(0.12f, 0.4f);
      b.tube(s, {0, h, 0}, {radius, h, radius}, r.chance(0.5f) ? b.colourful() : b.dark(), r.uniform(1, 1.3f));
      break;
    }
    case 1: {  // a ball
      const float radius = r.uniform(0.08f, 0.35f);
      const int m = b.colourful();
      b.scene.materials[m].scale = radius;
      b.ball(s, {0, radius, 0}, {radius, radius, radius}, m);
      break;
    }
    case 2: add_plant(b, s, r.uniform(0.5f, 1.6f)); break;
    case 3: {  // a tank, a boiler, a drum
      const float radius = r.uniform(0.15f, 0.35f), h = r.uniform(0.25f, 0.85f);
      b.tube(s, {0, h, 0}, {radius, h, radius}, b.furniture());
      b.ball(s, {0, 2 * h, 0}, {radius, radius * 0.3f, radius}, b.furniture());
      b.tube(s, {radius * 0.4f, 2 * h + 0.3f, 0}, {0.03f, 0.4f, 0.03f}, b.metal());
      break;
    }
    case 4: {  // a lamp on a pole
      b.tube(s, {0, 0.015f, 0}, {0.15f, 0.015f, 0.15f}, b.dark());
      b.tube(s, {0, 0.8f, 0}, {0.012f, 0.8f, 0.012f}, b.metal());
      const int shade = b.cloth();
      b.scene.materials[shade].glow = r.chance(0.5f) ? r.uniform(0.5f, 2) : 0;
      b.tube(s, {0, 1.6f, 0}, {0.2f, 0.13f, 0.2f}, shade, r.uniform(0.5f, 1));
      break;
    }
    case 5:  // a tripod, poles leaning
      if (r.chance(0.6f)) return add_boxes(b, s);
      for (int k = 0; k < 3; ++k)
        b.tube(s.at({0, 0, 0}, static_cast<float>(k) * 2.1f), {0.2f, 0.6f, 0}, {0.012f, 0.63f, 0.012f}, b.dark(), 1,
               roll(0.32f));
      b.box(s, {0, 1.25f, 0}, {0.06f, 0.06f, 0.08f}, b.dark());
      break;
    default: add_boxes(b, s);
  }
}

}  // namespace demo
