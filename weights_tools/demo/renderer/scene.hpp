// What a rendered scene is made of: primitives, materials, lamps and a camera. Metres; y is up.
#pragma once

#include <limits>
#include <vector>

#include "vec.hpp"

namespace demo {

enum class Pattern { plain, cloudy, wood, planks, tiles, stripes, bricks, carpet, poster, speckle, panels, print };

struct Material {
  Pattern pattern = Pattern::plain;
  Vec3 a = {0.5f, 0.5f, 0.5f}, b = {0.4f, 0.4f, 0.4f}, c = {0.2f, 0.2f, 0.2f};  // linear colours
  float scale = 1;                                                              // metres per repeat
  float gloss = 0;                                                              // strength of the highlight
  float glow = 0;                                                               // emitted light, in units of colour a
  std::uint32_t seed = 0;
};

// The colour of a material at a point of a primitive, in the primitive's own metres; axis: that of the face (0 x 1 y 2
// z).
Vec3 albedo(const Material& m, Vec3 p, int axis);
// Smooth noise in [0, 1] with features of about one unit.
float value_noise(Vec3 p, std::uint32_t seed);

enum class Shape { box, ellipsoid, cone };  // cone: along y, radius 1 below and `top` above; 1 makes it a cylinder

struct Primitive {
  Shape shape = Shape::box;
  Vec3 centre, half = {0.5f, 0.5f, 0.5f};
  Rotation rotation;
  float top = 1;
  int material = 0;
};

struct Hit {
  float t = std::numeric_limits<float>::infinity();
  int primitive = -1;
};

struct Surface {
  Vec3 point, normal;  // world
  Vec3 local;          // in the primitive's metres
  int axis = 1;
};

struct Lamp {
  Vec3 centre, u, v;  // a parallelogram: centre + s u + t v, s and t in [-1, 1]
  Vec3 power;
};

struct Camera {
  Vec3 eye;
  Rotation rotation;       // x right, y up, z ahead
  float tangent_x = 0.6f;  // half width of the picture at distance 1
};

// Surfaces that things stand on, for cameras to look at.
struct Place {
  Vec3 centre;  // on the surface
  Rotation rotation;
  float half_x, half_z;
};

struct Scene {
  std::vector<Primitive> primitives;
  std::vector<Material> materials;
  std::vector<Lamp> lamps;
  std::vector<Place> tables, objects;
  Vec3 ambient = {0.3f, 0.3f, 0.3f};
  Vec3 room_low, room_high;  // the free space of the room
  Camera camera;
};

// Distance along the ray to the primitive, or infinity.
float intersect(const Primitive& p, Vec3 origin, Vec3 ray);
Surface surface_at(const Primitive& p, Vec3 origin, Vec3 ray, float t);

// A bounding volume hierarchy over the primitives of a scene.
class Tree {
 public:
  explicit Tree(const std::vector<Primitive>& primitives);
  Hit nearest(Vec3 origin, Vec3 ray, float limit = std::numeric_limits<float>::infinity()) const;
  bool blocked(Vec3 origin, Vec3 ray, float limit) const;

 private:
  struct Node {
    Vec3 low, high;
    int first, count;  // of leaves: range in order_; of others: first child, the second follows its subtree at `count`
    bool leaf;
  };
  int build(int first, int count);
  template <bool any>
  Hit walk(Vec3 origin, Vec3 ray, float limit) const;
  const std::vector<Primitive>& primitives_;
  std::vector<Vec3> low_, high_;
  std::vector<int> order_;
  std::vector<Node> nodes_;
};

Scene make_scene(std::uint64_t seed);

}  // namespace demo
