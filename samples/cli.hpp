// What all programs share: option parsing by CLI11, one-line errors, exit status, devices, sizes, progress.
#pragma once

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <new>
#include <string>

#include "fathom/fathom.hpp"

namespace fathom::cli {

struct Size {
  int width = 0, height = 0;
};

// Numbers above 0, infinity and NaN left out.
inline std::string above_zero(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  const bool good = !text.empty() && *end == 0 && std::isfinite(value) && value > 0;
  return good ? "" : "must be a number above 0, not '" + text + "'";
}

// "640x192" -> {640, 192}; {0, 0} where the text is no size.
inline Size parse_size(const std::string& text) {
  Size size;
  char rest = 0;
  const bool good = std::sscanf(text.c_str(), "%dx%d%c", &size.width, &size.height, &rest) == 2 && size.width >= 1 &&
                    size.height >= 1 && size.width <= 65536 && size.height <= 65536;
  return good ? size : Size();
}

inline std::string a_size(const std::string& text) {
  return parse_size(text).width ? "" : "a size is WIDTHxHEIGHT, as in 640x192, not '" + text + "'";
}

inline std::string size_text(int width, int height) { return std::to_string(width) + "x" + std::to_string(height); }

// --device, --precision, --threads, --tuning, --verbose and --budget, as every program that runs a network has them.
struct EngineFlags {
  std::string device = "auto", precision = "fp32", size, tuning;
  int threads = 0;
  double budget_gib = 8;
  bool verbose = false;

  void add_to(CLI::App& app, bool with_size) {
    app.add_option("--device", device,
                   "auto takes a GPU if there is one; reference is slow, and what all are held against")
        ->check(CLI::IsMember({"auto", "cpu", "cuda", "reference"}))
        ->type_name("NAME");
    app.add_option("--precision", precision, "of the arithmetic; tf32 and fp16 on a GPU alone")
        ->check(CLI::IsMember({"fp32", "tf32", "fp16"}))
        ->type_name("NAME");
    app.add_option("--threads", threads, "of the CPU; 0: as many as there are cores")
        ->check(CLI::Range(0, 1024))
        ->type_name("N");
    app.add_option("--tuning", tuning, "time kernels on the GPU, take the fastest, and keep what was chosen in this file")
        ->type_name("FILE");
    app.add_flag("--verbose", verbose, "also say why there is no GPU, where --device auto found none");
    add_budget(app);
    if (with_size) add_size(app);
  }
  void add_budget(CLI::App& app) {
    app.add_option("--budget", budget_gib, "refuse models and plans that need more memory than this")
        ->check(above_zero)
        ->type_name("GIB")
        ->capture_default_str();
  }
  void add_size(CLI::App& app) {
    app.add_option("--size", size, "that the network runs at, instead of the model's own: 640x192")
        ->check(a_size)
        ->type_name("WxH");
  }

  EngineOptions options() const {
    static const std::map<std::string, Device> devices = {
        {"auto", Device::automatic}, {"cpu", Device::cpu}, {"cuda", Device::cuda}, {"reference", Device::reference}};
    static const std::map<std::string, Precision> precisions = {
        {"fp32", Precision::fp32}, {"tf32", Precision::tf32}, {"fp16", Precision::fp16}};
    EngineOptions o;
    o.device = devices.at(device), o.precision = precisions.at(precision), o.threads = threads;
    o.budget_bytes = budget_bytes(), o.tuning = tuning;
    const Size s = parse_size(size);
    o.input_width = s.width, o.input_height = s.height;
    return o;
  }
  std::int64_t budget_bytes() const { return static_cast<std::int64_t>(std::min(budget_gib, 1e9) * (1 << 30)); }
};

// An engine from a model file, or with synthetic weights where the argument is the name of an architecture and no file.
inline Engine open_engine(const std::string& model, const EngineOptions& options, bool verbose) {
  const bool a_path =
      model.find('/') != std::string::npos || model.find('.') != std::string::npos || std::filesystem::exists(model);
  Engine engine = a_path ? Engine::load(model, options) : Engine::synthetic(model, options);
  if (!engine.warning().empty()) std::fprintf(stderr, "%s\n", engine.warning().c_str());
  if (verbose && !engine.why_not_gpu().empty()) std::fprintf(stderr, "%s\n", engine.why_not_gpu().c_str());
  return engine;
}

// [######--------------]
inline std::string bar(std::int64_t done, std::int64_t total) {
  constexpr std::int64_t cells = 20;
  const auto full = static_cast<std::size_t>(total > 0 ? std::clamp<std::int64_t>(cells * done / total, 0, cells) : 0);
  return "[" + std::string(full, '#') + std::string(cells - full, '-') + "]";
}

// One line on stderr that is written over, when stderr is a terminal. It keeps an address of its own of that terminal:
// readers of pictures borrow stderr (samples/complaints.hpp).
class Progress {
 public:
  void show(const std::string& text) {
    if (terminal_ >= 0) dprintf(terminal_, "\r\033[K%s", text.c_str()), shown_ = true;
  }
  Progress() = default;
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() {
    if (shown_) show("");
    if (terminal_ >= 0) close(terminal_);
  }

 private:
  int terminal_ = isatty(STDERR_FILENO) ? dup(STDERR_FILENO) : -1;
  bool shown_ = false;
};

// Runs a program: parses, works, and turns whatever goes wrong into one line on stderr and a non-zero status.
template <class Work>
int run(CLI::App& app, int argc, char** argv, Work&& work) {
  const auto fail = [&](const std::string& text) {
    std::fprintf(stderr, "%s: %s\n", app.get_name().c_str(), text.c_str());
    return 1;
  };
  const auto flushed = [] { return std::fflush(stdout) == 0 && !std::ferror(stdout) && std::cout.flush().good(); };
  constexpr const char* full = "cannot write the output: is the disk full?";
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) {  // --help, --version
      const int status = app.exit(e);
      return flushed() ? status : fail(full);
    }
    fail(std::string(e.what()) + " (see --help)");
    return 2;
  }
  try {
    work();
    return flushed() ? 0 : fail(full);
  } catch (const Error& e) {
    return fail(e.what());
  } catch (const std::bad_alloc&) {
    return fail("out of memory; try a smaller --size or --batch");
  } catch (const std::exception& e) {
    return fail(e.what());
  }
}

}  // namespace fathom::cli
