// depth_from_image: a photograph in, a depth picture out.
#include <cctype>
#include <chrono>
#include <cstdio>

#include "samples/cli.hpp"
#include "samples/depth_picture.hpp"
#include "samples/pfm.hpp"
#include "samples/picture.hpp"
#include "samples/ply.hpp"

namespace {

using namespace fathom;

struct Flags {
  cli::EngineFlags engine;
  std::string photo, right, model = "lite_hr_depth", out = "depth.png", raw, raw16, points, both, colours = "magma";
  Camera camera;
  bool verbose = false;
};

// What can be known of an output before minutes of work: its folder is there, and its name promises no other format
// than the one that is written. Names without an ending promise nothing.
void check_output(const std::string& path, const std::string& written) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty() && !std::filesystem::is_directory(folder))
    throw Error(ErrorKind::file, "cannot write " + path + ": there is no folder " + folder.string());
  std::string ending = std::filesystem::path(path).extension().string();
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (!ending.empty() && ending != written)
    throw Error(ErrorKind::usage,
                path + " would hold no " + ending + ": pictures (-o, --side-by-side, --raw16) are written as .png, " +
                    "values (--raw) as .pfm, points (--points) as .ply; give it a name that ends in " + written);
}

void work(const Flags& flags) {
  cli::Progress progress;
  for (const std::string& path : {flags.out, flags.both, flags.raw16}) check_output(path, ".png");
  check_output(flags.raw, ".pfm"), check_output(flags.points, ".ply");
  const Colormap colours = colormap(flags.colours);
  progress.show("reading " + flags.photo);
  const Image photo = read_picture(flags.photo);
  const Image right = flags.right.empty() ? Image() : read_picture(flags.right);
  progress.show("loading " + flags.model);
  const Engine engine = cli::open_engine(flags.model, flags.engine.options());
  if (flags.verbose && !engine.why_not_gpu().empty()) std::fprintf(stderr, "%s\n", engine.why_not_gpu().c_str());
  Session session = engine.session();
  progress.show("estimating depth with " + engine.network() + " on " + engine.device());
  const auto before = std::chrono::steady_clock::now();
  const DepthMap depth = flags.right.empty() ? session.depth(photo) : session.depth(photo, right);
  const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - before).count();

  progress.show("writing " + flags.out);
  const Image picture = depth_picture(depth, colours);
  write_png(flags.out, picture);
  if (!flags.both.empty()) write_png(flags.both, side_by_side(photo, picture));
  if (!flags.raw.empty()) write_pfm(flags.raw, depth.width, depth.height, depth.depth);
  std::string notes;
  if (!flags.raw16.empty()) {
    const DepthPlane plane = depth_plane(depth);
    write_png(flags.raw16, plane.plane);
    notes += flags.raw16 + ": " + plane.text + "\n";
  }
  if (!flags.points.empty()) {
    const std::int64_t points = write_ply(flags.points, depth, photo, flags.camera);
    notes += flags.points + ": " + std::to_string(points) + " points\n";
  }
  progress.show("");
  std::fprintf(stderr, "%s%s: %dx%d, depth %s, by %s on %s in %.0f ms\n", notes.c_str(), flags.out.c_str(), depth.width,
               depth.height, depth.unit == "m" ? "in metres" : "up to scale", engine.network().c_str(),
               engine.device().c_str(), ms);
  if (engine.has_synthetic_weights())
    std::fprintf(stderr,
                 "The weights are synthetic: the picture shows that the program works, not how far things are. "
                 "Give trained ones with --model FILE (weights_tools/README.md tells how to convert them).\n");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"A photograph in, a depth picture out: near is bright.", "depth_from_image"};
  Flags flags;
  app.add_option("PHOTO", flags.photo, "any picture that OpenCV reads")->required();
  app.add_option("--model", flags.model, "a model file, or the name of a network to run with synthetic weights")
      ->capture_default_str();
  app.add_option("-o,--output", flags.out, "the depth picture, PNG")->capture_default_str();
  app.add_option("--right", flags.right, "the right photograph, for stereo networks");
  app.add_option("--raw", flags.raw, "also the values themselves: PFM, float32");
  app.add_option("--raw16", flags.raw16,
                 "also the values as 16-bit PNG: millimetres, or of relative depth shares of the farthest");
  app.add_option("--points", flags.points, "also a point cloud in the photograph's colours: PLY");
  auto* focal =
      app.add_option("--focal", flags.camera.focal_pixels, "focal length in pixels of the photograph, for --points")
          ->check(cli::above_zero);
  app.add_option("--fov", flags.camera.horizontal_view_degrees, "instead: horizontal field of view in degrees")
      ->check(CLI::Range(1., 179.))
      ->capture_default_str()
      ->excludes(focal);
  app.add_option("--side-by-side", flags.both, "also photograph and depth in one picture: PNG");
  app.add_option("--colormap", flags.colours, "magma, viridis, turbo or grey")->capture_default_str();
  app.add_flag("--verbose", flags.verbose, "also say why there is no GPU, where --device auto found none");
  flags.engine.add_to(app, true);
  return cli::run(app, argc, argv, [&] { work(flags); });
}
