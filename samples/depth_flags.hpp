// What depth_from_image and depth_from_video share: the model, the colours, what is known of outputs beforehand.
#pragma once

#include <cctype>
#include <cstdio>
#include <initializer_list>
#include <optional>
#include <string>

#include "samples/cli.hpp"
#include "samples/colormap.hpp"
#include "samples/depth_picture.hpp"

namespace fathom {

// "0.5:10" -> the nearest and the farthest depth that a colour map tells apart.
inline std::optional<DisplayRange> parse_range(const std::string& text) {
  double low = 0, high = 0;
  char rest = 0;
  if (std::sscanf(text.c_str(), "%lf:%lf%c", &low, &high, &rest) != 2) return {};
  if (!(low > 0) || !(high > low) || !std::isfinite(high)) return {};
  return DisplayRange{static_cast<float>(1 / high), static_cast<float>(1 / low)};
}

// The demonstration weights: of the installation that this program is part of, or of the sources it was built from.
inline std::string demonstration_model() {
  std::error_code none;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", none);
  const std::filesystem::path installed =
      program.parent_path() / ".." / FATHOM_SHARE_FROM_PROGRAMS / "demo.safetensors";
  return std::filesystem::exists(installed, none) ? installed.lexically_normal().string() : FATHOM_DEMONSTRATION;
}

struct DepthFlags {
  cli::EngineFlags engine;
  std::string model = demonstration_model(), colours = "magma", range;

  void add_to(CLI::App& app) {
    app.add_option("--model", model,
                   "a model file, or the name of a network to run with synthetic weights; without it the demonstration "
                   "weights")
        ->type_name("F");
    app.add_option("--colormap", colours, "magma, viridis, turbo or grey")->capture_default_str()->type_name("NAME");
    app.add_option("--range", range,
                   "the depths that get the brightest and the darkest colour, in metres where the network "
                   "gives metres; otherwise they are found in the picture")
        ->check([](const std::string& text) {
          return parse_range(text) ? "" : "a range is LOW:HIGH, as in 0.5:10, not '" + text + "'";
        })
        ->type_name("LOW:HIGH");
    engine.add_to(app, true);
  }

  Engine open() const { return cli::open_engine(model, engine.options(), engine.verbose); }
};

inline void say_if_synthetic(const Engine& engine) {
  if (engine.has_synthetic_weights())
    std::fprintf(
        stderr,
        "The weights are synthetic: the picture shows that the program works, not how far things are. "
        "Without --model there are the demonstration weights; weights_tools/README.md makes model files of official "
        "checkpoints.\n");
}

// What the numbers in files are: for --help, and as it turned out.
inline std::string pfm_values() {
  return "PFM, float32: depth in metres, or up to scale where the network knows no metres";
}
inline std::string png16_values(const std::string& farthest) {
  return "16-bit PNG: depth in millimetres (0: none, 65535: farther), or up to scale, " + farthest;
}
inline std::string what_values_are(const DepthMap& depth) {
  return depth.unit == "m" ? "depth in metres" : "depth up to scale";
}

// What can be known of an output before minutes of work: its folder is there, and its name promises no other format
// than those that are written. Names without an ending promise nothing, unless `must_end` is set.
inline void check_output(const std::string& path, std::initializer_list<std::string> endings, const std::string& hint,
                         bool must_end = false) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty() && !std::filesystem::is_directory(folder))
    throw Error(ErrorKind::file, "cannot write " + path + ": there is no folder " + folder.string());
  std::string ending = std::filesystem::path(path).extension().string();
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (ending.empty() && !must_end) return;
  std::string known;
  for (const std::string& one : endings) {
    if (one == ending) return;
    known += (known.empty() ? "" : " or ") + one;
  }
  throw Error(ErrorKind::usage, path + " would hold no " + (ending.empty() ? "video" : ending) + ": " + hint +
                                    "; give it a name that ends in " + known);
}

}  // namespace fathom
