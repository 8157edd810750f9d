// Renders rooms with exact depth: render_scenes FIRST COUNT WIDTH HEIGHT SAMPLES > shard
// Scene k of any run with seed k is the same. A shard is COUNT times the picture, u8 (H, W, 3), and the depth along the
// camera's axis in millimetres, u16 (H, W), in the machine's byte order.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "scene.hpp"

namespace demo {

namespace {

constexpr float pi = 3.14159265f;

// Means over the samples of a pixel.
struct Pixel {
  Vec3 colour, light, extra, normal;
  float depth = 0;
};

struct Renderer {
  const Scene& scene;
  const Tree& tree;
  Random& random;

  // A direction about the normal, as diffuse light arrives.
  Vec3 diffuse(Vec3 normal) {
    const float z = random.uniform(-1, 1), a = random.uniform(0, 2 * pi), r = std::sqrt(1 - z * z);
    return unit(normal * 1.0001f + Vec3{r * std::cos(a), r * std::sin(a), z});
  }

  // Light from the lamps that reaches the surface; what it reflects as a mirror would goes to `extra`.
  Vec3 lit(const Surface& s, Vec3 ray, float gloss, Vec3& extra) {
    Vec3 sum;
    const Vec3 start = s.point + s.normal * 2e-3f;
    for (const Lamp& lamp : scene.lamps) {
      const Vec3 to = lamp.centre + lamp.u * random.uniform(-1, 1) + lamp.v * random.uniform(-1, 1) - start;
      const float squared = dot(to, to), distance = std::sqrt(squared);
      const Vec3 direction = to * (1 / distance);
      const float facing = dot(s.normal, direction);
      if (facing <= 0 || tree.blocked(start, direction, distance - 0.05f)) continue;
      const float fall = 1.6f / (0.6f + squared);
      const Vec3 half = unit(direction - unit(ray));
      const float shine = gloss * std::pow(std::max(0.0f, dot(half, s.normal)), 40.0f);
      sum += lamp.power * (fall * facing), extra += lamp.power * (fall * facing * shine);
    }
    return sum;
  }

  // One ray of `share` of a pixel; the light is that of the first, as it varies less than what it falls on.
  void add(Vec3 eye, Vec3 ray, const Hit& hit, float share, bool first, Pixel& pixel) {
    if (hit.primitive < 0) return;
    const Primitive& p = scene.primitives[hit.primitive];
    const Material& m = scene.materials[p.material];
    const Surface s = surface_at(p, eye, ray, hit.t);
    const Vec3 a = albedo(m, s.local, s.axis);
    pixel.colour += a * share, pixel.extra += a * (m.glow * share), pixel.normal += s.normal;
    if (!first) return;
    // light from all round, darkened and tinted by what is near
    const Vec3 direction = diffuse(s.normal), start = s.point + s.normal * 2e-3f;
    Vec3 around = scene.ambient;
    const Hit near = tree.nearest(start, direction, 1.5f);
    if (near.primitive >= 0) {
      const Material& other = scene.materials[scene.primitives[near.primitive].material];
      const float open = near.t / 1.5f;
      around = scene.ambient * mix(other.a * 0.8f, Vec3{1, 1, 1}, open * open) + other.a * (other.glow * 0.5f);
    }
    pixel.light = around + lit(s, ray, m.gloss, pixel.extra);
  }
};

// The few random rays of a pixel leave grain. Light varies slowly where depth and normal do: its mean over 5x5 such
// neighbours, `step` pixels apart, takes the grain away and leaves the texture, which is in `colour`.
void smooth_light(std::vector<Pixel>& pixels, int width, int height, int step) {
  std::vector<Vec3> out;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const Pixel& centre = pixels[static_cast<std::size_t>(y * width + x)];
      Vec3 sum;
      float total = 0;
      for (int i = y - 2 * step; i <= y + 2 * step; i += step)
        for (int j = x - 2 * step; j <= x + 2 * step; j += step) {
          if (i < 0 || i >= height || j < 0 || j >= width) continue;
          const Pixel& p = pixels[static_cast<std::size_t>(i * width + j)];
          const float turn = std::max(0.0f, dot(p.normal, centre.normal)), change = (p.depth / centre.depth - 1) * 12;
          const float weight = turn * turn * turn * turn / (1 + change * change * change * change) + 1e-6f;
          sum += p.light * weight, total += weight;
        }
      out.push_back(sum * (1 / total));
    }
  for (std::size_t k = 0; k < pixels.size(); ++k) pixels[k].light = out[k];
}

unsigned char tone(float linear) {
  const float x = std::clamp(linear, 0.0f, 1.0f);
  return static_cast<unsigned char>(255 * std::pow(x, 1 / 2.2f) + 0.5f);
}

}  // namespace

void render(std::uint64_t seed, int width, int height, int samples, std::vector<unsigned char>& picture,
            std::vector<std::uint16_t>& depth) {
  const Scene scene = make_scene(seed);
  const Tree tree(scene.primitives);
  Random random(seed ^ 0x5ca1ab1e);
  Renderer renderer{scene, tree, random};
  const Camera& camera = scene.camera;
  const float pixel = 2 * camera.tangent_x / static_cast<float>(width);
  const auto ray_at = [&](float x, float y) {
    return camera.rotation.to_world(
        {(x - 0.5f * static_cast<float>(width)) * pixel, (0.5f * static_cast<float>(height) - y) * pixel, 1});
  };
  const float share = 1 / static_cast<float>(samples);
  std::vector<Pixel> pixels;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const auto fx = static_cast<float>(x), fy = static_cast<float>(y);
      Pixel p;
      for (int k = 0; k < samples; ++k) {
        const Vec3 ray = ray_at(fx + random.uniform(), fy + random.uniform());
        renderer.add(camera.eye, ray, tree.nearest(camera.eye, ray), share, k == 0, p);
      }
      p.normal = unit(p.normal + Vec3{1e-6f, 0, 0});
      // the ray has length 1 along the axis: t is the depth
      p.depth = tree.nearest(camera.eye, ray_at(fx + 0.5f, fy + 0.5f)).t;
      depth.push_back(static_cast<std::uint16_t>(std::clamp(p.depth * 1000, 0.0f, 65535.0f)));
      pixels.push_back(p);
    }
  for (const int step : {1, 3}) smooth_light(pixels, width, height, step);
  std::vector<Vec3> linear;
  std::vector<float> bright;
  for (std::size_t k = 0; k < pixels.size(); ++k) {
    linear.push_back(pixels[k].colour * pixels[k].light + pixels[k].extra);
    bright.push_back((linear[k].x + linear[k].y + linear[k].z) / 3);
  }
  // Exposure: the camera brings a high percentile near white, more or less.
  const std::size_t rank = bright.size() * static_cast<std::size_t>(random.between(70, 97)) / 100;
  std::nth_element(bright.begin(), bright.begin() + static_cast<std::ptrdiff_t>(rank), bright.end());
  const float exposure = random.uniform(0.2f, 0.95f) / std::max(bright[rank], 1e-3f);
  for (const Vec3& c : linear)
    picture.insert(picture.end(), {tone(c.x * exposure), tone(c.y * exposure), tone(c.z * exposure)});
}

}  // namespace demo

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: render_scenes FIRST COUNT WIDTH HEIGHT SAMPLES > shard\n");
    return 1;
  }
  const std::uint64_t first = std::strtoull(argv[1], nullptr, 10);
  const int count = std::atoi(argv[2]), width = std::atoi(argv[3]), height = std::atoi(argv[4]),
            samples = std::atoi(argv[5]);
  for (int k = 0; k < count; ++k) {
    std::vector<unsigned char> picture;
    std::vector<std::uint16_t> depth;
    demo::render(first + static_cast<std::uint64_t>(k), width, height, samples, picture, depth);
    if (std::fwrite(picture.data(), 1, picture.size(), stdout) != picture.size() ||
        std::fwrite(depth.data(), 2, depth.size(), stdout) != depth.size()) {
      std::fprintf(stderr, "render_scenes: cannot write the shard; is the disk full?\n");
      return 1;
    }
  }
  return 0;
}
