// depth_from_image: a photograph in, a depth picture out.
#include <chrono>
#include <cstdio>

#include "samples/depth_flags.hpp"
#include "samples/pfm.hpp"
#include "samples/picture.hpp"
#include "samples/ply.hpp"

namespace {

using namespace fathom;

struct Flags {
  DepthFlags depth;
  std::string photo, right, out = "depth.png", raw, raw16, points, both;
  Camera camera;
};

void work(const Flags& flags) {
  cli::Progress progress;
  const std::string kinds =
      "pictures (-o, --side-by-side, --raw16) are written as .png, values (--raw) as .pfm, points (--points) as .ply";
  for (const std::string& path : {flags.out, flags.both, flags.raw16}) check_output(path, {".png"}, kinds);
  check_output(flags.raw, {".pfm"}, kinds), check_output(flags.points, {".ply"}, kinds);
  const Colormap colours = colormap(flags.depth.colours);
  if (std::filesystem::is_directory(flags.photo))
    throw Error(ErrorKind::file, flags.photo + " is a folder: depth_from_video is for folders of pictures");
  progress.show("reading " + flags.photo);
  const Image photo = read_picture(flags.photo);
  const Image right = flags.right.empty() ? Image() : read_picture(flags.right);
  progress.show("loading " + flags.depth.model);
  const Engine engine = flags.depth.open();
  Session session = engine.session();
  progress.show("estimating depth with " + engine.network() + " on " + engine.device());
  const auto before = std::chrono::steady_clock::now();
  const DepthMap depth = flags.right.empty() ? session.depth(photo) : session.depth(photo, right);
  const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - before).count();

  progress.show("writing " + flags.out);
  const Image picture = depth_picture(depth, colours, parse_range(flags.depth.range));
  write_png(flags.out, picture);
  if (!flags.both.empty()) write_png(flags.both, side_by_side(photo, picture));
  std::string notes;
  if (!flags.raw.empty()) {
    write_pfm(flags.raw, depth.width, depth.height, depth.depth);
    notes += flags.raw + ": " + what_values_are(depth) + ", float32\n";
  }
  if (!flags.raw16.empty()) {
    const DepthPlane plane = depth_plane(depth);
    write_png(flags.raw16, plane.plane, plane.text);
    notes += flags.raw16 + ": " + plane.text + "\n";
  }
  if (!flags.points.empty()) {
    const std::int64_t points = write_ply(flags.points, depth, photo, flags.camera);
    notes += flags.points + ": " + std::to_string(points) + " points\n";
  }
  progress.show("");
  std::fprintf(stderr, "%s%s: %dx%d, %s, by %s on %s in %.0f ms\n", notes.c_str(), flags.out.c_str(), depth.width,
               depth.height, what_values_are(depth).c_str(), engine.network().c_str(), engine.device().c_str(), ms);
  say_if_synthetic(engine);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"A photograph in, a depth picture out: near is bright.", "depth_from_image"};
  Flags flags;
  app.add_option("PHOTO", flags.photo, "any picture that OpenCV reads")->required()->type_name("");
  app.add_option("-o,--output", flags.out, "the depth picture: PNG")->capture_default_str()->type_name("FILE");
  app.add_option("--right", flags.right, "the right photograph, for stereo networks")->type_name("FILE");
  app.add_option("--side-by-side", flags.both, "also photograph and depth in one picture: PNG")->type_name("FILE");
  app.add_option("--raw", flags.raw, "also the values: " + pfm_values())->type_name("FILE");
  app.add_option("--raw16", flags.raw16, "also the values: " + png16_values("where the farthest is 65535"))
      ->type_name("FILE");
  app.add_option(
         "--points", flags.points,
         "also a point cloud in the photograph's colours: PLY, in the unit of --raw, x to the right, y up, seen "
         "from the origin along -z")
      ->type_name("FILE");
  auto* focal =
      app.add_option("--focal", flags.camera.focal_pixels, "focal length in pixels of the photograph, for --points")
          ->check(cli::above_zero)
          ->type_name("N");
  app.add_option("--fov", flags.camera.horizontal_view_degrees, "instead: horizontal field of view")
      ->check(CLI::Range(1., 179.))
      ->type_name("DEGREES")
      ->capture_default_str()
      ->excludes(focal);
  flags.depth.add_to(app);
  return cli::run(app, argc, argv, [&] { work(flags); });
}
