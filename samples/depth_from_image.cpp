// depth_from_image: a photograph in, a depth picture out.
#include <chrono>
#include <cstdio>

#include "samples/cli.hpp"
#include "samples/colormap.hpp"
#include "samples/depth_files.hpp"
#include "samples/picture.hpp"

namespace {

using namespace fathom;

struct Flags {
  cli::EngineFlags engine;
  std::string photo, right, model = "lite_hr_depth", out = "depth.png", raw, raw16, points, side_by_side, colormap = default_colormap;
  double field_of_view = 60;
  bool verbose = false;
};

void work(const Flags& flags) {
  cli::Progress progress;
  progress.show("reading " + flags.photo);
  const Image photo = read_picture(flags.photo);
  progress.show("loading " + flags.model);
  const Engine engine = cli::open_engine(flags.model, flags.engine.options());
  Session session = engine.session();
  progress.show("estimating depth with " + engine.network() + " on " + engine.device());
  const auto before = std::chrono::steady_clock::now();
  const DepthMap depth = flags.right.empty() ? session.depth(photo) : session.depth(photo, read_picture(flags.right));
  const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - before).count();

  progress.show("writing " + flags.out);
  const Image picture = colorize(depth, flags.colormap);
  write_png(flags.out, picture);
  if (!flags.side_by_side.empty()) write_png(flags.side_by_side, side_by_side(photo, picture));
  if (!flags.raw.empty()) write_pfm(flags.raw, depth);
  if (!flags.raw16.empty()) write_depth_png(flags.raw16, depth);
  if (!flags.points.empty()) write_ply(flags.points, depth, photo, flags.field_of_view);
  progress.show("");

  const bool synthetic = !flags.model.ends_with(".safetensors");
  if (synthetic)
    std::fprintf(stderr, "Note: no trained weights were given; %s ran with synthetic weights, so this picture shows no real depth. "
                         "Give trained ones with --model FILE.\n", engine.network().c_str());
  std::fprintf(stderr, "%s: %dx%d, depth in %s, by %s on %s in %.0f ms (planning included)\n", flags.out.c_str(), depth.width, depth.height,
               depth.unit == "m" ? "metres" : "relative units", engine.network().c_str(), engine.device().c_str(), ms);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"A photograph in, a depth picture out (near is bright).", "depth_from_image"};
  Flags flags;
  app.add_option("PHOTO", flags.photo, "any picture that OpenCV reads")->required();
  app.add_option("--model", flags.model, "a model file; or an architecture's name, run with synthetic weights")->capture_default_str();
  app.add_option("-o,--output", flags.out, "the depth picture, PNG")->capture_default_str();
  app.add_option("--right", flags.right, "the right photograph, for stereo networks");
  app.add_option("--raw", flags.raw, "also the true values, as PFM (float32)");
  app.add_option("--raw16", flags.raw16, "also the true values, as 16-bit PNG (millimetres; of relative depth, thousandths)");
  app.add_option("--points", flags.points, "also a point cloud with the photograph's colours, as PLY");
  app.add_option("--fov", flags.field_of_view, "horizontal field of view of the camera in degrees, for --points")->check(CLI::Range(1., 179.))->capture_default_str();
  app.add_option("--side-by-side", flags.side_by_side, "also photograph and depth in one picture, PNG");
  app.add_option("--colormap", flags.colormap)->check(CLI::IsMember(colormap_names()))->capture_default_str();
  flags.engine.add_to(app, true);
  return cli::run(app, argc, argv, [&] { work(flags); });
}
