// A room with what is in it, lamps, and a camera that looks at it as people do.
#include <algorithm>
#include <array>

#include "furniture.hpp"

namespace demo {

namespace {

constexpr float pi = 3.14159265f;

struct Room {
  float x, z, height;  // half width, half depth, height; the middle of the floor is the origin
};

// The wall at side k (0 ahead, 1 right, 2 behind, 3 left) as a stand on the floor, its -z looking into the room.
Stand wall_stand(const Room& room, int k) {
  const std::array<Vec3, 4> at = {Vec3{0, 0, room.z}, {room.x, 0, 0}, {0, 0, -room.z}, {-room.x, 0, 0}};
  return {at[k], yaw(static_cast<float>(k) * pi / 2)};
}
float wall_half(const Room& room, int k) { return k % 2 == 0 ? room.x : room.z; }

void add_window(Builder& b, const Stand& wall, float x, float height) {
  Random& r = b.random;
  const float w = r.uniform(0.35f, 1.1f), h = r.uniform(0.4f, 0.75f),
              y = std::min(height - h - 0.15f, r.uniform(1.3f, 1.7f));
  Material sky;
  sky.pattern = Pattern::cloudy, sky.a = {0.7f, 0.85f, 1}, sky.b = Vec3{0.5f, 0.6f, 0.45f} * r.uniform(0.3f, 1.5f);
  sky.scale = r.uniform(0.2f, 1), sky.glow = r.uniform(0.3f, 3);
  b.box(wall, {x, y, -0.005f}, {w, h, 0.012f}, b.material(sky));
  const int frame = b.furniture();
  for (const float side : {-1.0f, 0.0f, 1.0f}) b.box(wall, {x + side * w, y, -0.02f}, {0.03f, h, 0.03f}, frame);
  for (const float side : {-1.0f, 1.0f}) b.box(wall, {x, y + side * h, -0.02f}, {w, 0.03f, 0.04f}, frame);
  if (r.chance(0.3f))
    for (const float side : {-1.0f, 1.0f})
      b.box(wall, {x + side * w, y - 0.1f, -0.08f}, {0.16f, h + 0.3f, 0.03f}, b.cloth());
  b.scene.lamps.push_back({wall.origin + wall.turn.to_world({x, y, -0.06f}), wall.turn.x * w, wall.turn.y * h,
                           Vec3{0.9f, 1, 1.1f} * (sky.glow * r.uniform(0.5f, 2))});
}

void add_wall_things(Builder& b, const Stand& wall, float half, float height) {
  Random& r = b.random;
  if (r.chance(0.5f)) b.box(wall, {0, 0.05f, -0.01f}, {half, 0.05f, 0.012f}, b.furniture());  // skirting
  for (int k = r.below(4); k > 0; --k) {
    const float x = r.uniform(-0.9f, 0.9f) * half, w = r.uniform(0.1f, 0.6f), h = r.uniform(0.1f, 0.5f);
    const float kind = r.uniform();
    if (kind < 0.45f) {  // a picture
      const int m = b.paper();
      b.scene.materials[m].scale = std::max(w, h);
      if (r.chance(0.6f)) b.box(wall, {x, 1.5f, -0.01f}, {w + 0.03f, h + 0.03f, 0.015f}, b.furniture());
      b.box(wall, {x, 1.5f, -0.015f}, {w, h, 0.015f}, m);
    } else if (kind < 0.6f) {  // a door
      const int m = b.furniture();
      b.box(wall, {x, 1.02f, -0.01f}, {0.5f, 1.05f, 0.02f}, b.furniture());
      b.box(wall, {x, 1, -0.02f}, {0.43f, 1, 0.03f}, m);
      b.box(wall, {x + 0.35f, 1, -0.07f}, {0.05f, 0.01f, 0.02f}, b.metal());
    } else if (kind < 0.75f) {  // a board with things on it
      const float y = r.uniform(1.2f, 1.8f), deep = r.uniform(0.08f, 0.15f);
      b.box(wall, {x, y, -deep}, {w + 0.2f, 0.015f, deep}, b.wooden());
      for (int n = r.below(6); n > 0; --n)
        add_clutter(b, wall.at({x + r.uniform(-1, 1) * (w + 0.1f), y + 0.015f, -deep}, r.uniform(-pi, pi)));
    } else if (kind < 0.85f) {  // a hanging cupboard
      b.box(wall, {x, 1.7f, -0.17f}, {w + 0.2f, 0.35f, 0.17f}, b.furniture());
    } else {  // pipes
      const float y = r.uniform(0.2f, height);
      for (int n = r.between(1, 3); n > 0; --n)
        r.chance(0.5f) ? b.tube(wall, {0, std::min(y + 0.1f * static_cast<float>(n), height - 0.05f), -0.07f},
                                {0.035f, half, 0.035f}, b.metal(), 1, roll(pi / 2))
                       : b.tube(wall, {x + 0.12f * static_cast<float>(n), height / 2, -0.07f},
                                {0.035f, height / 2, 0.035f}, b.metal());
    }
  }
}

void add_ceiling(Builder& b, const Room& room) {
  Random& r = b.random;
  const Stand top = {{0, room.height, 0}, {}};
  const float warm = r.uniform(-0.25f, 0.3f), power = r.uniform(0.5f, 3);
  for (int k = r.between(1, 3); k > 0; --k) {
    const float w = r.uniform(0.05f, 0.4f), d = r.uniform(0.1f, 0.7f);
    const Vec3 at = {r.uniform(-0.7f, 0.7f) * room.x, -r.uniform(0.02f, 0.3f), r.uniform(-0.7f, 0.7f) * room.z};
    Material light;
    light.a = {1, 1, 1}, light.glow = r.uniform(1, 4);
    b.box(top, at, {w, 0.02f, d}, b.material(light));
    b.scene.lamps.push_back(
        {top.origin + at + Vec3{0, -0.03f, 0}, {w, 0, 0}, {0, 0, d}, Vec3{1 + warm, 1, 1 - warm} * power});
  }
  if (r.chance(0.25f)) {  // beams, ducts
    const int m = b.furniture();
    const bool across = r.chance(0.5f);
    const float half = r.uniform(0.04f, 0.15f), step = r.uniform(0.6f, 2);
    const float reach = across ? room.z : room.x;
    for (float at = -reach + step / 2; at < reach; at += step)
      across ? b.box(top, {0, -half, at}, {room.x, half, half * 0.6f}, m)
             : b.box(top, {at, -half, 0}, {half * 0.6f, half, room.z}, m);
  }
}

// Walls, floor and ceiling; behind an opening in the wall ahead or behind lies another room.
void add_shell(Builder& b, const Room& room) {
  Random& r = b.random;
  const int paint = b.wall_paint();
  const float far = 6, thick = 0.1f;
  b.box({}, {0, -thick, 0}, {room.x + far, thick, room.z + far}, b.floor_cover());
  b.box({}, {0, room.height + thick, 0}, {room.x + far, thick, room.z + far}, b.wall_paint());
  for (int k = 0; k < 4; ++k) {
    const Stand wall = wall_stand(room, k);
    const float half = wall_half(room, k);
    const int m = r.chance(0.75f) ? paint : b.wall_paint();
    if (r.chance(0.3f) && half > 1.2f) {
      const float w = r.uniform(0.4f, std::min(1.2f, half * 0.6f)), x = r.uniform(-1, 1) * (half - w - 0.2f),
                  h = std::min(room.height - 0.1f, r.uniform(2, 2.4f));
      b.box(wall, {(x - w - half) / 2, room.height / 2, thick}, {(x - w + half) / 2, room.height / 2, thick}, m);
      b.box(wall, {(x + w + half) / 2, room.height / 2, thick}, {(half - x - w) / 2, room.height / 2, thick}, m);
      b.box(wall, {x, (room.height + h) / 2, thick}, {w, (room.height - h) / 2, thick}, m);
      const int beyond = b.wall_paint();
      const float deep = r.uniform(1, 4.5f);
      b.box(wall, {0, room.height / 2, deep + thick}, {half + 1, room.height / 2, thick}, beyond);
      for (const float side : {-1.0f, 1.0f})
        b.box(wall, {x + side * (w + r.uniform(0.3f, 1.5f)), room.height / 2, deep / 2 + thick},
              {thick / 2, room.height / 2, deep / 2}, beyond);
      b.scene.lamps.push_back({wall.origin + wall.turn.to_world({x, room.height - 0.2f, deep / 2}),
                               {0.3f, 0, 0},
                               {0, 0, 0.3f},
                               Vec3{1, 1, 1} * r.uniform(0.2f, 2)});
      if (r.chance(0.6f))
        add_cabinet(b, wall.at({x + r.uniform(-0.5f, 0.5f), 0, deep - 0.3f}), r.uniform(0.5f, 1.2f), 0.4f,
                    r.uniform(0.7f, 2));
    } else {
      b.box(wall, {0, room.height / 2, thick}, {half + 2 * thick, room.height / 2, thick}, m);
      if (r.chance(0.25f)) add_window(b, wall, r.uniform(-0.6f, 0.6f) * half, room.height);
      add_wall_things(b, wall, half, room.height);
    }
  }
}

void add_wall_furniture(Builder& b, const Stand& wall, float half) {
  Random& r = b.random;
  for (float x = -half + r.uniform(0, 1); x < half - 0.4f;) {
    const float width = std::min(r.uniform(0.4f, 1.8f), half - x), kind = r.uniform();
    const float height = r.chance(0.5f) ? r.uniform(1.5f, 2.2f) : r.uniform(0.5f, 1.2f),
                depth = r.uniform(0.25f, 0.65f);
    const Stand s = wall.at({x + width / 2, 0, -depth / 2 - 0.04f}, r.chance(0.2f) ? r.normal(0, 0.1f) : 0);
    if (kind < 0.22f)
      add_cabinet(b, s, width, depth, height);
    else if (kind < 0.42f)
      add_shelf(b, s, width, std::min(depth, 0.4f), height);
    else if (kind < 0.6f && width > 0.8f) {
      add_table(b, wall.at({x + width / 2, 0, -0.4f}), width, 0.7f, r.uniform(0.65f, 0.95f), r.between(2, 14));
      if (r.chance(0.6f)) add_chair(b, wall.at({x + width / 2, 0, -1}, r.uniform(-pi, pi)));
    } else if (kind < 0.68f && width > 1.2f)
      add_sofa(b, wall.at({x + width / 2, 0, -0.45f}), width);
    else if (kind < 0.74f && width > 1.1f)
      add_bed(b, wall.at({x + width / 2, 0, -1.05f}));
    else
      add_floor_thing(b, s);
    x += width + (r.chance(0.5f) ? r.uniform(0, 0.2f) : r.uniform(0, 1.2f));
  }
}

// A partition behind a desk, a column, a table in the middle.
void add_island(Builder& b, const Room& room) {
  Random& r = b.random;
  const Stand s = {{r.uniform(-0.6f, 0.6f) * room.x, 0, r.uniform(-0.6f, 0.6f) * room.z},
                   yaw(r.chance(0.5f) ? static_cast<float>(r.below(4)) * pi / 2 : r.uniform(-pi, pi))};
  const float kind = r.uniform();
  if (kind < 0.65f) {
    const float w = r.uniform(0.8f, 2), d = r.uniform(0.5f, 0.95f),
                h = r.chance(0.2f) ? r.uniform(0.35f, 0.55f) : r.uniform(0.65f, 0.85f);
    add_table(b, s, w, d, h, r.between(0, 24));
    if (r.chance(0.3f))
      b.box(s, {0, h * 0.9f, d / 2 + 0.03f}, {w * 0.55f, h * 0.9f, 0.025f}, r.chance(0.5f) ? b.cloth() : b.furniture());
    for (int k = r.below(4); k > 0; --k)
      add_chair(b,
                s.at({r.uniform(-0.5f, 0.5f) * w, 0, (r.chance(0.7f) ? -1.0f : 1.0f) * (d / 2 + r.uniform(0.1f, 0.5f))},
                     r.uniform(-pi, pi)));
  } else if (kind < 0.75f) {
    b.box(s, {0, room.height / 2, 0}, {r.uniform(0.1f, 0.3f), room.height / 2, r.uniform(0.1f, 0.3f)}, b.wall_paint());
  } else if (kind < 0.85f) {
    add_cabinet(b, s, r.uniform(0.5f, 1.2f), r.uniform(0.35f, 0.7f), r.uniform(0.6f, 1.9f));
  } else {
    add_shelf(b, s, r.uniform(0.7f, 1.5f), 0.4f, r.uniform(1, 2));
  }
}

Rotation look(Vec3 from, Vec3 to, float roll_angle) {
  const Vec3 d = to - from;
  return yaw(std::atan2(d.x, d.z)) * pitch(std::atan2(-d.y, std::sqrt(d.x * d.x + d.z * d.z))) * roll(roll_angle);
}

// Standing in the room, over a table, or before a thing.
Camera place_camera(const Scene& scene, const Room& room, Random& r) {
  Camera camera;
  camera.tangent_x = std::tan(0.5f * r.uniform(50, 76) * pi / 180);
  const float roll_angle = r.chance(0.7f) ? r.normal(0, 0.02f) : r.normal(0, 0.1f);
  const auto inside = [&](Vec3 p) {
    return Vec3{std::clamp(p.x, -room.x + 0.25f, room.x - 0.25f), std::clamp(p.y, 0.3f, room.height - 0.15f),
                std::clamp(p.z, -room.z + 0.25f, room.z - 0.25f)};
  };
  const float kind = r.uniform();
  if (kind < 0.38f && !scene.tables.empty()) {
    const Place& t = scene.tables[r.below(static_cast<int>(scene.tables.size()))];
    const Vec3 target = t.centre + t.rotation.to_world({r.uniform(-0.6f, 0.6f) * t.half_x, r.uniform(-0.2f, 0.3f),
                                                        r.uniform(-0.3f, 1.5f) * t.half_z});
    const float angle = r.chance(0.75f) ? r.normal(0, 0.6f) : r.uniform(-pi, pi), away = r.uniform(0.6f, 2.2f);
    const Vec3 from = t.centre + t.rotation.to_world({-std::sin(angle) * away, 0, -std::cos(angle) * away});
    camera.eye = inside({from.x, t.centre.y + r.uniform(0.15f, 1.1f), from.z});
    camera.rotation = look(camera.eye, target, roll_angle);
  } else if (kind < 0.5f && !scene.objects.empty()) {
    const Place& t = scene.objects[r.below(static_cast<int>(scene.objects.size()))];
    const float angle = r.normal(0, 0.7f), away = r.uniform(1, 3);
    const Vec3 from = t.centre + t.rotation.to_world({-std::sin(angle) * away, 0, -std::cos(angle) * away});
    camera.eye = inside({from.x, r.uniform(0.7f, 1.8f), from.z});
    camera.rotation =
        look(camera.eye, t.centre + Vec3{r.normal(0, 0.3f), r.normal(0, 0.2f), r.normal(0, 0.3f)}, roll_angle);
  } else {
    camera.eye = inside({r.uniform(-1, 1) * room.x, r.normal(1.4f, 0.25f), r.uniform(-1, 1) * room.z});
    const Vec3 towards = Vec3{r.uniform(-0.8f, 0.8f) * room.x, 0, r.uniform(-0.8f, 0.8f) * room.z} - camera.eye;
    camera.rotation = yaw(std::atan2(towards.x, towards.z)) * pitch(r.normal(0.22f, 0.16f)) * roll(roll_angle);
  }
  return camera;
}

// A picture worth learning from: nothing right before the lens, neither a wall at arm's length nor a void.
bool worth_it(const Tree& tree, const Camera& camera) {
  std::vector<float> depth;
  for (int i = 0; i < 12; ++i)
    for (int j = 0; j < 16; ++j) {
      const Vec3 ray = {camera.tangent_x * (static_cast<float>(j) - 7.5f) / 8,
                        0.75f * camera.tangent_x * (5.5f - static_cast<float>(i)) / 6, 1};
      depth.push_back(tree.nearest(camera.eye, camera.rotation.to_world(ray)).t);
    }
  std::sort(depth.begin(), depth.end());
  return depth[0] > 0.3f && depth[depth.size() / 20] > 0.45f && depth[depth.size() / 2] > 0.7f &&
         depth[depth.size() / 2] < 9 && depth.back() < 20 &&
         depth[depth.size() * 9 / 10] > 1.15f * depth[depth.size() / 10];
}

}  // namespace

Scene make_scene(std::uint64_t seed) {
  Random r(seed);
  for (;;) {
    Scene scene;
    Builder b{scene, r};
    Room room;
    const float kind = r.uniform();
    const bool corridor = kind < 0.08f, hall = !corridor && kind < 0.32f, store = r.chance(0.2f);
    if (corridor)
      room = {r.uniform(0.75f, 1.2f), r.uniform(2.5f, 7), r.uniform(2.2f, 3)};
    else if (hall)  // an open office
      room = {r.uniform(2.5f, 6), r.uniform(2.5f, 6.5f), r.uniform(2.6f, 5)};
    else
      room = {r.uniform(1.4f, 3), r.uniform(1.6f, 3.5f), r.uniform(2.1f, 3)};
    add_shell(b, room);
    add_ceiling(b, room);
    for (int k = 0; k < 4; ++k)
      if (r.chance(corridor ? 0.25f : 0.65f)) add_wall_furniture(b, wall_stand(room, k), wall_half(room, k));
    if (!corridor)
      for (int k = hall ? r.between(2, 6) : r.below(3); k > 0; --k) add_island(b, room);
    for (int k = store ? r.between(6, 24) : r.below(6); k > 0; --k)  // a cellar, a workshop: full of things
      add_floor_thing(
          b, {{r.uniform(-0.85f, 0.85f) * room.x, 0, r.uniform(-0.85f, 0.85f) * room.z}, yaw(r.uniform(-pi, pi))});
    if (r.chance(0.3f))
      b.box({}, {r.uniform(-0.4f, 0.4f) * room.x, 0.004f, r.uniform(-0.4f, 0.4f) * room.z},
            {r.uniform(0.4f, 1.2f), 0.004f, r.uniform(0.4f, 1.6f)}, b.cloth(), yaw(r.normal(0, 0.2f)));
    const float level = store ? r.uniform(0.05f, 0.3f) : r.uniform(0.1f, 0.9f), tint = r.uniform(-0.15f, 0.15f);
    scene.ambient = Vec3{1 + tint, 1, 1 - tint} * level;
    const Tree tree(scene.primitives);
    for (int attempt = 0; attempt < 12; ++attempt) {
      scene.camera = place_camera(scene, room, r);
      if (worth_it(tree, scene.camera)) return scene;
    }
  }
}

}  // namespace demo
