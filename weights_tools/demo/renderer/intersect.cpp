// Rays against primitives. Every primitive is a unit shape, moved, turned and stretched.
#include <algorithm>
#include <array>

#include "scene.hpp"

namespace demo {

namespace {

constexpr float nothing = std::numeric_limits<float>::infinity(), near_by = 1e-4f;

// |x|, |y|, |z| <= 1
float unit_box(Vec3 o, Vec3 d) {
  const Vec3 inverse = {1 / d.x, 1 / d.y, 1 / d.z};
  const Vec3 a = (Vec3{-1, -1, -1} - o) * inverse, b = (Vec3{1, 1, 1} - o) * inverse;
  const float enter = std::max({std::min(a.x, b.x), std::min(a.y, b.y), std::min(a.z, b.z)});
  const float leave = std::min({std::max(a.x, b.x), std::max(a.y, b.y), std::max(a.z, b.z)});
  if (!(enter < leave)) return nothing;
  if (enter > near_by) return enter;
  return leave > near_by ? leave : nothing;
}

// x^2 + y^2 + z^2 <= 1
float unit_sphere(Vec3 o, Vec3 d) {
  const float a = dot(d, d), b = dot(o, d), c = dot(o, o) - 1, under = b * b - a * c;
  if (under < 0) return nothing;
  const float root = std::sqrt(under);
  if (const float t = (-b - root) / a; t > near_by) return t;
  if (const float t = (-b + root) / a; t > near_by) return t;
  return nothing;
}

// x^2 + z^2 <= (m + n y)^2, |y| <= 1, where m + n = top and m - n = 1
float unit_cone(Vec3 o, Vec3 d, float top) {
  const float m = (1 + top) / 2, n = (top - 1) / 2, r = m + n * o.y;
  const float a = d.x * d.x + d.z * d.z - n * n * d.y * d.y, b = o.x * d.x + o.z * d.z - n * d.y * r,
              c = o.x * o.x + o.z * o.z - r * r, under = b * b - a * c;
  float best = nothing;
  const auto side = [&](float t) {
    const float y = o.y + t * d.y;
    if (t > near_by && t < best && std::abs(y) <= 1 && m + n * y >= 0) best = t;
  };
  if (under >= 0 && a != 0) {
    const float root = std::sqrt(under);
    side((-b - root) / a), side((-b + root) / a);
  }
  for (const float y : {-1.0f, 1.0f}) {
    const float t = (y - o.y) / d.y, x = o.x + t * d.x, z = o.z + t * d.z, radius = m + n * y;
    if (t > near_by && t < best && x * x + z * z <= radius * radius) best = t;
  }
  return best;
}

}  // namespace

float intersect(const Primitive& p, Vec3 origin, Vec3 ray) {
  const Vec3 o = p.rotation.to_local(origin - p.centre) / p.half, d = p.rotation.to_local(ray) / p.half;
  switch (p.shape) {
    case Shape::box: return unit_box(o, d);
    case Shape::ellipsoid: return unit_sphere(o, d);
    case Shape::cone: return unit_cone(o, d, p.top);
  }
  return nothing;
}

Surface surface_at(const Primitive& p, Vec3 origin, Vec3 ray, float t) {
  Surface s;
  s.point = origin + ray * t;
  s.local = p.rotation.to_local(s.point - p.centre);
  const Vec3 q = s.local / p.half;  // on the unit shape
  Vec3 normal = q;
  const Vec3 size = {std::abs(q.x), std::abs(q.y), std::abs(q.z)};
  if (p.shape == Shape::box) {
    s.axis = size.x > size.y ? (size.x > size.z ? 0 : 2) : (size.y > size.z ? 1 : 2);
    normal = s.axis == 0 ? Vec3{q.x, 0, 0} : s.axis == 1 ? Vec3{0, q.y, 0} : Vec3{0, 0, q.z};
  } else if (p.shape == Shape::cone) {
    const float m = (1 + p.top) / 2, n = (p.top - 1) / 2;
    const bool cap = size.y > 0.9999f;
    normal = cap ? Vec3{0, q.y, 0} : Vec3{q.x, -n * (m + n * q.y), q.z};
    // unrolled: the texture runs round the side
    s.axis = cap ? 1 : 2;
    if (!cap) s.local.x = std::atan2(q.x, q.z) * p.half.x;
  } else {
    s.axis = 2;
    s.local.x = std::atan2(q.x, q.z) * p.half.x;
  }
  s.normal = unit(p.rotation.to_world(normal / p.half));
  if (dot(s.normal, ray) > 0) s.normal = -s.normal;  // seen from inside
  return s;
}

Tree::Tree(const std::vector<Primitive>& primitives) : primitives_(primitives) {
  for (const Primitive& p : primitives) {
    // the box round the turned box
    const Vec3 x = p.rotation.x * p.half.x, y = p.rotation.y * p.half.y, z = p.rotation.z * p.half.z;
    const float wide = std::max(1.0f, p.shape == Shape::cone ? p.top : 1.0f);
    const Vec3 reach = {wide * (std::abs(x.x) + std::abs(y.x) + std::abs(z.x)),
                        wide * (std::abs(x.y) + std::abs(y.y) + std::abs(z.y)),
                        wide * (std::abs(x.z) + std::abs(y.z) + std::abs(z.z))};
    order_.push_back(static_cast<int>(low_.size()));
    low_.push_back(p.centre - reach), high_.push_back(p.centre + reach);
  }
  build(0, static_cast<int>(order_.size()));
}

int Tree::build(int first, int count) {
  const int index = static_cast<int>(nodes_.size());
  Vec3 low = {1e9f, 1e9f, 1e9f}, high = -low;
  for (int k = first; k < first + count; ++k) {
    const Vec3 a = low_[order_[k]], b = high_[order_[k]];
    low = {std::min(low.x, a.x), std::min(low.y, a.y), std::min(low.z, a.z)};
    high = {std::max(high.x, b.x), std::max(high.y, b.y), std::max(high.z, b.z)};
  }
  nodes_.push_back({low, high, first, count, count <= 3});
  if (count <= 3) return index;
  const Vec3 size = high - low;
  const auto middle = [&](int k) {
    const Vec3 m = low_[k] + high_[k];
    return size.x > size.y ? (size.x > size.z ? m.x : m.z) : (size.y > size.z ? m.y : m.z);
  };
  const int half = count / 2;
  std::nth_element(order_.begin() + first, order_.begin() + first + half, order_.begin() + first + count,
                   [&](int a, int b) { return middle(a) < middle(b); });
  const int left = build(first, half), right = build(first + half, count - half);
  nodes_[index].first = left, nodes_[index].count = right;
  return index;
}

template <bool any>
Hit Tree::walk(Vec3 origin, Vec3 ray, float limit) const {
  Hit hit{limit, -1};
  const Vec3 inverse = {1 / ray.x, 1 / ray.y, 1 / ray.z};
  std::array<int, 64> stack;
  int depth = 0;
  stack[depth++] = 0;
  while (depth > 0) {
    const Node& node = nodes_[stack[--depth]];
    const Vec3 a = (node.low - origin) * inverse, b = (node.high - origin) * inverse;
    const float enter = std::max({std::min(a.x, b.x), std::min(a.y, b.y), std::min(a.z, b.z), 0.0f});
    const float leave = std::min({std::max(a.x, b.x), std::max(a.y, b.y), std::max(a.z, b.z), hit.t});
    if (enter > leave) continue;
    if (!node.leaf) {
      stack[depth++] = node.count, stack[depth++] = node.first;
      continue;
    }
    for (int k = node.first; k < node.first + node.count; ++k) {
      const float t = intersect(primitives_[order_[k]], origin, ray);
      if (t < hit.t) {
        hit = {t, order_[k]};
        if (any) return hit;
      }
    }
  }
  return hit;
}

Hit Tree::nearest(Vec3 origin, Vec3 ray, float limit) const { return walk<false>(origin, ray, limit); }
bool Tree::blocked(Vec3 origin, Vec3 ray, float limit) const { return walk<true>(origin, ray, limit).primitive >= 0; }

}  // namespace demo
