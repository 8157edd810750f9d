// fathom_bench: how fast, how much memory, how accurate.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "bench/accuracy.hpp"
#include "bench/batches.hpp"
#include "bench/floor.hpp"
#include "bench/memory.hpp"
#include "bench/ops_benchmark.hpp"
#include "bench/place.hpp"
#include "bench/plot.hpp"
#include "bench/recipe.hpp"
#include "bench/table_command.hpp"
#include "bench/workload.hpp"
#include "engine/cuda_module.hpp"
#include "models/architectures.hpp"
#include "samples/cli.hpp"
#include "samples/files.hpp"
#ifdef FATHOM_HAS_PICTURES
#include "samples/picture.hpp"
#else
#include "samples/plane16.hpp"
#endif

namespace {

using namespace fathom;

#ifndef FATHOM_HAS_PICTURES
[[noreturn]] void no_pictures(const std::filesystem::path& path) {
  throw Error(ErrorKind::unsupported,
              "cannot read " + path.string() + ": this build has no OpenCV; give depths as .npy");
}
Image read_picture(const std::filesystem::path& path) { no_pictures(path); }
Plane16 read_plane16(const std::filesystem::path& path) { no_pictures(path); }
#endif

// ---- batches ----

// --batch and --memory, as fps and memory have them.
struct BatchFlags {
  std::string batches = "1";
  std::uint64_t memory_bytes = 0;  // 0: what the system has free

  void add_to(CLI::App& app) {
    app.add_option("--batch", batches, "1,2,4,...; max: the largest that fits into the memory");
    app.add_option("--memory", memory_bytes, "for max, as in 24GB; else nine tenths of what is free")
        ->transform(CLI::AsSizeValue(true))
        ->check(CLI::PositiveNumber);
  }
};

// Which batches are meant, once there is an engine.
class Batches {
 public:
  explicit Batches(const BatchFlags& flags)
      : list_(parse_batches(flags.batches)),
        largest_(std::find(list_.begin(), list_.end(), largest_that_fits) != list_.end()),
        memory_bytes_(static_cast<std::int64_t>(flags.memory_bytes)) {}

  // Where the largest is asked for, memory is the limit and not the budget.
  EngineOptions raise_budget(EngineOptions options) const {
    if (largest_) options.budget_bytes = std::max(options.budget_bytes, std::int64_t{1} << 50);
    return options;
  }
  // Notes the limit in the report, if the largest is asked for.
  std::vector<int> of(const Engine& engine, Json& report) const {
    std::vector<int> list = list_;
    if (!largest_) return list;
    const std::int64_t limit = limit_bytes(engine);
    const int largest = largest_batch_of(engine, limit);
    const Frame frame = engine.frame();
    if (!largest)
      throw Error(ErrorKind::memory, engine.network() + " at " + cli::size_text(frame.width, frame.height) +
                                         ": not even one image fits into " + std::to_string(limit >> 20) +
                                         " MiB; choose a smaller --size or more --memory");
    report["memory_limit_bytes"] = limit;
    std::replace(list.begin(), list.end(), largest_that_fits, largest);
    return list;
  }

 private:
  // A tenth of what is free, on the device or on the system, is left to others.
  std::int64_t limit_bytes(const Engine& engine) const {
    if (memory_bytes_) return memory_bytes_;
    const std::int64_t device = engine.session().memory(engine.frame()).device_free_bytes;
    return (device >= 0 ? device : free_memory_bytes()) / 10 * 9;
  }

  std::vector<int> list_;
  bool largest_;
  std::int64_t memory_bytes_;  // 0: what is free
};

// ---- fps ----

struct FpsFlags {
  cli::EngineFlags engine;
  std::vector<std::string> models;
  BatchFlags batch;
  std::string json, plot, photo;
  double seconds = 1;
  double bandwidth_gb = 0, peak_tflops = 0;  // per second; 0: what is known of the device
  bool unfused = false, warm = false;

  DeviceRates rates(const std::string& device) const {
    const DeviceRates known = known_rates(device, engine.precision);
    return {bandwidth_gb > 0 ? bandwidth_gb * 1e9 : known.bytes_per_s,
            peak_tflops > 0 ? peak_tflops * 1e12 : known.flops_per_s};
  }
};

// A figure that may not be known.
std::string cell(double value, const char* form) {
  char text[32] = "-";
  if (value > 0) std::snprintf(text, sizeof text, form, value);
  return text;
}
Json known(double value) { return value > 0 ? Json(value) : Json(nullptr); }

// From a photograph's file to its depth map: what comes round the network's own time, and prints it below the row.
Json time_photo(const FpsFlags& flags, const Engine& engine, Session& session, double network_ms) {
  const Image photo = read_picture(flags.photo);
  const bool stereo = engine.inputs(engine.frame()).size() == 2;
  const double decode_ms = time_runs(flags.seconds, [&] { read_picture(flags.photo); }).median_ms;
  const double depth_ms =
      time_runs(flags.seconds, [&] { stereo ? session.depth(photo, photo) : session.depth(photo); }).median_ms;
  std::printf("  %s, %s: decoding %.2f ms, depth() %.2f ms; the network alone %.2f ms\n", flags.photo.c_str(),
              cli::size_text(photo.width, photo.height).c_str(), decode_ms, depth_ms, network_ms);
  return {{"width", photo.width}, {"height", photo.height}, {"decode_ms", decode_ms}, {"depth_ms", depth_ms}};
}

// The rows of one network, at every batch.
void fps_of(const std::string& model, const FpsFlags& flags, const Batches& batches, Json& json, Plot& plot) {
  EngineOptions options = batches.raise_budget(flags.engine.options());
  options.fuse = !flags.unfused;
  const Engine engine = cli::open_engine(model, options, flags.engine.verbose);
  json["device"] = engine.device();
  plot.caption = engine.device() + ", " + flags.engine.precision;
  Curve curve{engine.network(), {}};
  for (const int batch : batches.of(engine, json)) {
    Frame frame = engine.frame();
    frame.batch = batch;
    Workload work(engine, frame);
    Session session = engine.session();
    const bool events = device_of(engine) == "cuda";
    const Timing t = time_network(flags.seconds, work, session, engine, flags.warm);
    const MemoryReport memory = session.memory(frame, {work.output()});
    const std::vector<StepInfo> steps = session.steps(frame, {work.output()});
    const DeviceRates rates = flags.rates(engine.device());
    const double floor = floor_ms(steps, rates), percent = 100 * floor / t.median_ms;
    int launches = 0;
    for (const StepInfo& step : steps) launches += step.launches;
    const std::string size = cli::size_text(frame.width, frame.height);
    std::printf("%-28s %-10s %5d %10.3f %10.3f %10.3f %9.2f %10.2f %10.2f %8d %9s %8s\n", engine.network().c_str(),
                size.c_str(), batch, t.median_ms, t.p10_ms, t.p90_ms, 1e3 * batch / t.median_ms,
                memory.arena_bytes / 1048576., memory.arena_bytes / 1048576. / batch, launches,
                cell(floor, "%.3f").c_str(), cell(percent, "%.1f%%").c_str());
    std::fflush(stdout);
    curve.points.emplace_back(batch, 1e3 * batch / t.median_ms);
    json["rows"].push_back({{"network", engine.network()},
                            {"width", frame.width},
                            {"height", frame.height},
                            {"batch", batch},
                            {"precision", flags.engine.precision},
                            {"fused", !flags.unfused},
                            {"clock", events ? "CUDA events round each graph" : "host"},
                            {"inputs", t.inputs},
                            {"median_ms", t.median_ms},
                            {"p10_ms", t.p10_ms},
                            {"p90_ms", t.p90_ms},
                            {"runs", t.runs},
                            {"cpu_ms", known(t.cpu_ms)},
                            {"images_per_s", 1e3 * batch / t.median_ms},
                            {"arena_bytes", memory.arena_bytes},
                            {"arena_bytes_per_image", static_cast<double>(memory.arena_bytes) / batch},
                            {"lower_bound_bytes", memory.lower_bound_bytes},
                            {"weight_bytes", memory.weight_bytes},
                            {"launches", launches},
                            {"floor_ms", known(floor)},
                            {"percent_of_floor", known(percent)},
                            {"floor_bytes_per_s", known(rates.bytes_per_s)},
                            {"floor_flops_per_s", known(rates.flops_per_s)}});
    if (batch == 1 && !flags.photo.empty())
      json["rows"].back()["photo"] = time_photo(flags, engine, session, t.median_ms);
  }
  std::sort(curve.points.begin(), curve.points.end());
  plot.curves.push_back(std::move(curve));
}

// The report is written with every network: what ends a long run early leaves the others'. Of several networks one that
// fails is noted, and the others go on.
void fps(const FpsFlags& flags, Json json) {
  json["rows"] = Json::array();
  const Batches batches(flags.batch);
  Plot plot{"Images per second against batch size", "", "batch size", "images/s", {}};
  std::printf("%-28s %-10s %5s %10s %10s %10s %9s %10s %10s %8s %9s %8s\n", "network", "size", "batch", "median ms",
              "p10", "p90", "images/s", "arena MiB", "MiB/image", "launches", "floor ms", "of floor");
  std::string failed;
  for (const std::string& model : flags.models) {
    try {
      fps_of(model, flags, batches, json, plot);
    } catch (const Error& e) {
      if (flags.models.size() == 1) throw;
      json["failed"].push_back({{"network", model}, {"error", e.what()}});
      failed += (failed.empty() ? "" : "; ") + model + ": " + e.what();
    }
    write_report(flags.json, json);
  }
  if (!flags.plot.empty() && !plot.curves.empty()) {
    plot.caption = json["machine"].get<std::string>() + ", " + plot.caption + ", " + json["date"].get<std::string>();
    write_file(flags.plot, to_svg(plot));
  }
  if (!failed.empty()) throw Error(ErrorKind::unsupported, "not timed: " + failed);
}

// ---- memory ----

struct MemoryFlags {
  cli::EngineFlags engine;
  std::vector<std::string> models;
  BatchFlags batch;
  std::string json;
  bool resident = false, all = false;
};

// The most memory that this process has held so far.
std::int64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

void memory(MemoryFlags flags, Json json) {
  std::vector<std::string> models = flags.models;
  if (models.empty())
    for (const Architecture& a : architectures()) models.push_back(a.name);
  if (flags.all) flags.batch.batches = "1,8,32";
  const Batches batches(flags.batch);
  std::vector<MemoryRow> rows;
  std::printf("%s\n", memory_header().c_str());
  for (const MemoryPlanKind& kind : flags.all ? all_plans() : std::vector<MemoryPlanKind>{{}}) {
    EngineOptions options = batches.raise_budget(flags.engine.options());
    options.plan_only = !flags.resident;  // needs no GPU
    if (flags.all) options.device = kind.device, options.precision = kind.precision;
    if (flags.all) options.budget_bytes = std::int64_t{1} << 50;
    const std::string precision = flags.all ? kind.name : flags.engine.precision;
    for (const std::string& model : models)
      for (const auto& [width, height] : flags.all ? tabled_sizes(model) : std::vector<std::pair<int, int>>{{0, 0}}) {
        if (flags.all) options.input_width = width, options.input_height = height;
        const Engine engine = cli::open_engine(model, options, flags.engine.verbose);
        for (const int batch : batches.of(engine, json)) {
          Frame frame = engine.frame();
          frame.batch = batch;
          Session session = engine.session();
          if (flags.resident) Workload(engine, frame).run(session);
          rows.push_back({engine.network(), device_of(engine), engine.device(), precision, frame, session.memory(frame),
                          flags.resident ? peak_resident_bytes() : 0});
          std::printf("%s\n", to_text(rows.back()).c_str());
          std::fflush(stdout);
        }
      }
  }
  std::printf("%s", summary_of(rows).c_str());
  if (flags.resident) std::printf("peak resident memory of this process: %.2f MiB\n", peak_resident_bytes() / 1048576.);
  if (flags.json.empty()) return;
  const Json figures = Json::parse(to_json(rows));
  for (const auto& [key, value] : figures.items()) json[key] = value;
  write_report(flags.json, json);
}

// ---- operations ----

struct OpsFlags {
  cli::EngineFlags engine;
  std::vector<std::string> networks;
  OpsOptions options;
  int batch = 1;
  bool tables = false, list = false;
};

std::unique_ptr<Backend> backend_of(const EngineOptions& options) {
  switch (options.device) {
    case Device::cuda: return open_cuda_backend({options.precision, options.plan_only, options.tuning});
    case Device::reference: return make_reference_backend();
    default:
      if (options.precision != Precision::fp32)
        throw Error(ErrorKind::unsupported,
                    "ops: the CPU runs in fp32 alone; choose --device cuda for halves and TF32");
      return make_cpu_backend(options.threads);
  }
}

void ops(OpsFlags flags, Json json) {
  EngineOptions options = flags.engine.options();
  options.plan_only = flags.list;
  const std::unique_ptr<Backend> backend = backend_of(options);
  if (flags.networks.empty())
    for (const Architecture& a : architectures()) flags.networks.push_back(a.name);
  const std::vector<OpProblem> problems =
      flags.tables ? table_problems(*backend) : convolution_problems(*backend, flags.networks, flags.batch);
  if (!flags.list) {
    for (const auto& [key, value] : json.items())
      flags.options.recipe.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
    flags.options.recipe.emplace_back("device", backend->name());
    return run_benchmarks(problems, *backend, flags.options);
  }
  json["device"] = backend->name(), json["rows"] = Json::array();
  std::printf("%6s %10s  %s\n", "times", "M mult-add", "inputs: operation (the first that has it)");
  for (const OpProblem& p : problems) {
    std::printf("%6d %10.2f  %s (%s)\n", p.count, multiply_adds(p) / 1e6, to_text(p).c_str(), p.name.c_str());
    json["rows"].push_back({{"name", p.name},
                            {"problem", to_text(p)},
                            {"multiply_adds", multiply_adds(p)},
                            {"times", p.count},
                            {"networks", p.networks}});
  }
  std::printf("%zu distinct\n", problems.size());
  write_report(flags.options.json, json);
}

// ---- accuracy ----

struct AccuracyFlags {
  cli::EngineFlags engine;
  std::string folder, model, prediction, crop = "none", metrics = "all", kind = "depth", json;
  double depth_scale = 5000;
  AccuracyOptions options;
  bool each = false;
};

// What a network says about one photograph: inverse depth where it gives disparities, so that resizing comes before
// inverting.
FloatMap predict(Session& session, const std::filesystem::path& photo, PredictionKind kind) {
  DepthMap map = session.depth(read_picture(photo));
  return {map.width, map.height, kind == PredictionKind::disparity ? inverse_depth(map) : std::move(map.depth)};
}

void accuracy(const AccuracyFlags& flags, Json json) {
  if (flags.model.empty() == flags.prediction.empty())
    throw Error(ErrorKind::usage, "give either --model or --prediction");
  AccuracyOptions options = flags.options;
  options.crop =
      static_cast<Crop>(std::find(std::begin(crop_names), std::end(crop_names), flags.crop) - std::begin(crop_names));
  const auto shown = metrics_of(flags.metrics);
  const std::vector<AccuracyPair> pairs = find_pairs(flags.folder);
  std::optional<Engine> engine;
  std::optional<Session> session;
  if (!flags.model.empty()) {
    engine = cli::open_engine(flags.model, flags.engine.options(), flags.engine.verbose);
    session = engine->session();
    options.prediction =
        engine->outputs(engine->frame()).at(0).kind == "disparity" ? PredictionKind::disparity : PredictionKind::depth;
  } else if (flags.kind == "disparity") {
    options.prediction = PredictionKind::disparity;
  }
  cli::Progress progress;
  std::vector<ImageAccuracy> images;
  for (const AccuracyPair& pair : pairs) {
    progress.show(std::to_string(images.size() + 1) + " of " + std::to_string(pairs.size()) + ": " + pair.name);
    if (session && pair.photo.empty())
      throw Error(ErrorKind::file, flags.folder + ": '" + pair.name + "' has a depth but no photograph");
    const FloatMap truth = read_depth(pair.truth, flags.depth_scale, read_plane16);
    const FloatMap prediction =
        session ? predict(*session, pair.photo, options.prediction)
                : read_depth(find_prediction(flags.prediction, pair, pairs.size()), flags.depth_scale, read_plane16);
    images.push_back(evaluate(pair.name, prediction, truth, options));
  }
  progress.show("");
  const AccuracyReport report = summarise(std::move(images), options);
  std::printf("%s", to_table(report, shown, flags.each).c_str());
  if (!flags.json.empty()) {
    const Json figures = Json::parse(to_json(report));
    for (const auto& [key, value] : figures.items()) json[key] = value;
    write_report(flags.json, json);
  }
}

// ---- the memory planner alone ----

struct PlaceFlags {
  std::vector<std::string> files;
  double seconds = 60;
  std::string json, output;
};

void place_files(const PlaceFlags& flags, Json json) {
  std::printf("%-28s %8s %14s %14s %8s %8s  %s\n", "problem", "buffers", "lower bound", "arena", "ratio", "seconds",
              "proof");
  json["rows"] = Json::array();
  for (const std::string& file : flags.files) {
    const PlaceProblem problem = read_place_problem(file);
    const auto began = std::chrono::steady_clock::now();
    const Placement placed = place(problem.buffers, {.alignment = 1, .nodes = std::numeric_limits<std::int64_t>::max(), .seconds = flags.seconds});
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    check_placement(problem, placed);
    const std::string name = std::filesystem::path(file).filename().string();
    const double ratio = placed.lower_bound_bytes
                             ? static_cast<double>(placed.arena_bytes) / static_cast<double>(placed.lower_bound_bytes)
                             : 1;
    const char* proof = placed.arena_bytes == placed.lower_bound_bytes ? "meets the bound"
                        : placed.optimal                               ? "nothing smaller exists"
                                                                       : "none: out of time";
    std::printf("%-28s %8zu %14lld %14lld %8.4f %8.2f  %s\n", name.c_str(), problem.buffers.size(),
                static_cast<long long>(placed.lower_bound_bytes), static_cast<long long>(placed.arena_bytes), ratio,
                seconds, proof);
    std::fflush(stdout);
    json["rows"].push_back({{"problem", name},
                            {"buffers", problem.buffers.size()},
                            {"lower_bound_bytes", placed.lower_bound_bytes},
                            {"arena_bytes", placed.arena_bytes},
                            {"ratio", ratio},
                            {"seconds", seconds},
                            {"optimal", placed.optimal}});
    if (!flags.output.empty()) write_file(flags.output, to_csv(problem, placed));
  }
  write_report(flags.json, json);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Measures Fathom: speed, memory, accuracy.", "fathom_bench"};
  app.require_subcommand(1);

  FpsFlags fps_flags;
  CLI::App* fps_command = app.add_subcommand("fps", "latency and images per second of networks against the batch size");
  fps_command->add_option("--model", fps_flags.models, "model files, or names of architectures (synthetic weights)")
      ->required()
      ->delimiter(',');
  fps_flags.batch.add_to(*fps_command);
  fps_command->add_option("--photo", fps_flags.photo, "at batch 1 also the time from this picture's file to its depth");
  fps_command->add_option("--plot", fps_flags.plot, "also draw images/s against batch size into this SVG");
  fps_command->add_option("--seconds", fps_flags.seconds, "of measuring per row")->check(cli::above_zero);
  fps_command
      ->add_option("--bandwidth", fps_flags.bandwidth_gb,
                   "GB/s that the device reaches, for the floor (known of an H200; a CPU has no floor without)")
      ->check(cli::above_zero);
  fps_command->add_option("--peak", fps_flags.peak_tflops, "TFLOP/s that the device reaches, for the floor")
      ->check(cli::above_zero);
  fps_command->add_flag("--unfused", fps_flags.unfused, "every layer on its own");
  fps_command->add_flag("--warm", fps_flags.warm,
                        "on a GPU the same inputs in every run, instead of so many in turns that its L2 cache holds none");
  fps_command->add_option("--json", fps_flags.json, "also write the rows to this file");
  fps_flags.engine.add_to(*fps_command, true);

  MemoryFlags memory_flags;
  CLI::App* memory_command = app.add_subcommand("memory", "arena, lower bound and the sum without reuse");
  memory_command->add_option("--model", memory_flags.models, "all architectures by default")->delimiter(',');
  memory_flags.batch.add_to(*memory_command);
  memory_command->add_option("--json", memory_flags.json, "also write the rows to this file");
  memory_command->add_flag("--all", memory_flags.all,
                           "at all sizes of the papers' tables, batches 1, 8 and 32, on the CPU and on a GPU (planned "
                           "for an H200 where there is none), in float32 and in halves");
  memory_command->add_flag("--resident", memory_flags.resident,
                           "also run once, and tell the process's peak (of one model at a time)");
  memory_flags.engine.add_to(*memory_command, true);

  TableFlags table_flags;
  CLI::App* table_command = app.add_subcommand("table", "a paper's own table: its figures, ours, their ratio");
  table_flags.add_to(*table_command);

  OpsFlags ops_flags;
  CLI::App* ops_command = app.add_subcommand(
      "ops", "single operations: the distinct convolutions of the networks at their own sizes, or the tests' cases");
  ops_command->add_option("--network", ops_flags.networks, "architectures whose convolutions; all by default")
      ->delimiter(',');
  ops_command->add_option("--batch", ops_flags.batch, "of the networks")->check(CLI::Range(1, 65536));
  ops_command->add_flag("--tables", ops_flags.tables, "instead: the cases of the tests");
  ops_command->add_flag("--libraries", ops_flags.options.libraries, "each convolution by cuDNN and cuBLASLt too, where they have it");
  ops_command->add_flag("--list", ops_flags.list, "only list them, with how often the networks have each");
  ops_command->add_option("--filter", ops_flags.options.filter, "only names that this regular expression finds");
  ops_command->add_option("--seconds", ops_flags.options.seconds, "of measuring per operation")
      ->check(cli::above_zero)
      ->capture_default_str();
  ops_command->add_option("--json", ops_flags.options.json, "also write the figures to this file");
  ops_flags.engine.add_to(*ops_command, false);

  PlaceFlags place_flags;
  CLI::App* place_command =
      app.add_subcommand("place", "the memory planner on placement problems (CSV: id,lower,upper,size), one thread");
  place_command->add_option("FILES", place_flags.files, "problems; upper is left out of a lifetime")->required();
  place_command->add_option("--seconds", place_flags.seconds, "of search per problem, at most")
      ->check(cli::above_zero)
      ->capture_default_str();
  place_command->add_option("--json", place_flags.json, "also write the rows to this file");
  place_command->add_option("-o,--output", place_flags.output, "write the (last) problem with offsets to this file");

  AccuracyFlags accuracy_flags;
  CLI::App* accuracy_command =
      app.add_subcommand("accuracy", "error metrics over a folder of NAME.(png|jpg) with NAME_depth.(png|npy)");
  accuracy_command->add_option("DIR", accuracy_flags.folder)->required();
  accuracy_command->add_option("--model", accuracy_flags.model, "a model file: predicts from the photographs");
  accuracy_command->add_option("--prediction", accuracy_flags.prediction,
                               "instead: a file, or a folder of NAME.(npy|pfm|png)");
  accuracy_command->add_option("--kind", accuracy_flags.kind, "what --prediction holds: depth or disparity")
      ->check(CLI::IsMember({"depth", "disparity"}));
  accuracy_command->add_option("--depth-scale", accuracy_flags.depth_scale, "16-bit value / scale = metres")
      ->check(cli::above_zero)
      ->capture_default_str();
  accuracy_command->add_flag("--median", accuracy_flags.options.median, "scale each prediction to the truth's median");
  accuracy_command->add_option("--scale", accuracy_flags.options.scale, "multiply predictions by this")
      ->check(cli::above_zero);
  accuracy_command->add_option("--crop", accuracy_flags.crop, "none, garg, eigen, nyu or nyu_bts")
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(crop_names), std::end(crop_names))))
      ->capture_default_str();
  accuracy_command->add_option("--cap", accuracy_flags.options.cap, "ignore truth beyond this many metres")
      ->check(cli::above_zero);
  accuracy_command->add_option("--min-depth", accuracy_flags.options.min_depth, "and nearer than this")
      ->check(cli::above_zero)
      ->capture_default_str();
  accuracy_command
      ->add_option("--pool", accuracy_flags.options.batch,
                   "pictures whose pixels are pooled before averaging (UMich: 8)")
      ->check(CLI::Range(1, 1000000));
  accuracy_command
      ->add_option("--metrics", accuracy_flags.metrics, "of a paper (drnet, umich, cnd, hr_depth, mai), or all")
      ->capture_default_str();
  accuracy_command->add_flag("--each", accuracy_flags.each, "also a line for each picture");
  accuracy_command->add_option("--json", accuracy_flags.json, "also write the figures to this file");
  accuracy_flags.engine.add_to(*accuracy_command, true);

  return cli::run(app, argc, argv, [&] {
    if (*accuracy_command) return accuracy(accuracy_flags, recipe(argc, argv));
    if (*ops_command) return ops(ops_flags, recipe(argc, argv));
    if (*place_command) return place_files(place_flags, recipe(argc, argv));
    if (*table_command) return print_tables(table_flags, recipe(argc, argv));
    if (*fps_command) return fps(fps_flags, recipe(argc, argv));
    if (*memory_command) return memory(memory_flags, recipe(argc, argv));
  });
}
