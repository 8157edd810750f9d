// fathom_bench: how fast, how much memory, how accurate.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "bench/accuracy.hpp"
#include "engine/synthetic.hpp"
#include "models/architectures.hpp"
#include "samples/cli.hpp"
#include "samples/files.hpp"
#include "samples/picture.hpp"

namespace {

using namespace fathom;
using Json = nlohmann::ordered_json;

// What a number needs to be believed: machine, date, command.
Json recipe(int argc, char** argv) {
  std::string command, cpu, line;
  for (int k = 0; k < argc; ++k) command += (k ? " " : "") + (k ? std::string(argv[k]) : std::string("fathom_bench"));
  for (std::ifstream info("/proc/cpuinfo"); std::getline(info, line);)
    if (line.starts_with("model name")) {
      cpu = line.substr(line.find(':') + 2);
      break;
    }
  char date[32];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%d", std::gmtime(&now));
  return {{"date", date}, {"machine", cpu}, {"cores", std::thread::hardware_concurrency()}, {"command", command}};
}

void finish(const std::string& json_path, const Json& json) {
  if (!json_path.empty()) write_file(json_path, json.dump(1) + "\n");
}

std::vector<int> parse_batches(const std::string& text) {
  std::vector<int> batches;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t used = 0;
    int batch = 0;
    try {
      batch = std::stoi(text.substr(at), &used);
    } catch (const std::exception&) {
      used = 0;
    }
    at += used;
    if (!used || batch < 1 || batch > 65536 || (at < text.size() && text[at] != ',')) break;
    batches.push_back(batch);
    if (at++ == text.size()) return batches;
  }
  throw Error(ErrorKind::usage, "--batch is a list of whole numbers, as in 1,2,4, not '" + text + "'");
}

// Synthetic pictures for a network, and room for its primary output.
class Workload {
 public:
  Workload(const Engine& engine, const Frame& frame) : frame_(frame), info_(engine.outputs(frame).at(0)) {
    for (const TensorInfo& t : engine.inputs(frame)) {
      std::vector<std::uint8_t> one = synthetic_image(frame.height, frame.width, t.name, static_cast<int>(t.shape[1]));
      if (t.kind == "f32") {  // the same in [0, 1]
        std::vector<float> values(one.size());
        std::transform(one.begin(), one.end(), values.begin(),
                       [](std::uint8_t v) { return static_cast<float>(v) / 255; });
        one.resize(values.size() * sizeof(float));
        std::memcpy(one.data(), values.data(), one.size());
      }
      std::vector<std::uint8_t>& all = pictures_.emplace_back();
      for (int n = 0; n < frame.batch; ++n) all.insert(all.end(), one.begin(), one.end());
    }
    for (const auto& p : pictures_) in_.push_back(p.data());
    out_.resize(static_cast<std::size_t>(info_.shape[0] * info_.shape[1] * info_.shape[2] * info_.shape[3]));
  }

  const std::string& output() const { return info_.name; }
  void run(Session& session) {
    const NamedOutput outputs[] = {{info_.name, out_.data()}};
    session.run(frame_, in_, outputs);
  }

 private:
  Frame frame_;
  TensorInfo info_;
  std::vector<std::vector<std::uint8_t>> pictures_;
  std::vector<const void*> in_;
  std::vector<float> out_;
};

// ---- fps ----

struct Timing {
  double median_ms = 0, p10_ms = 0, p90_ms = 0;
  int runs = 0;
};

// At least `seconds` and five runs, after two that do not count.
template <class Work>
Timing time_runs(double seconds, Work&& work) {
  using Clock = std::chrono::steady_clock;
  work(), work();
  std::vector<double> ms;
  const Clock::time_point start = Clock::now();
  while (ms.size() < 5 || std::chrono::duration<double>(Clock::now() - start).count() < seconds) {
    const Clock::time_point before = Clock::now();
    work();
    ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - before).count());
  }
  std::sort(ms.begin(), ms.end());
  const auto at = [&](double share) {
    return ms[static_cast<std::size_t>(share * static_cast<double>(ms.size() - 1) + 0.5)];
  };
  return {at(0.5), at(0.1), at(0.9), static_cast<int>(ms.size())};
}

struct FpsFlags {
  cli::EngineFlags engine;
  std::vector<std::string> models;
  std::string batches = "1", json;
  double seconds = 1;
  bool unfused = false;
};

void fps(const FpsFlags& flags, Json json) {
  json["rows"] = Json::array();
  const std::vector<int> batches = parse_batches(flags.batches);
  std::printf("%-28s %-10s %5s %10s %10s %10s %9s %10s %10s %8s\n", "network", "size", "batch", "median ms", "p10",
              "p90", "images/s", "arena MiB", "MiB/image", "launches");
  for (const std::string& model : flags.models) {
    EngineOptions options = flags.engine.options();
    options.fuse = !flags.unfused;
    const Engine engine = cli::open_engine(model, options);
    for (const int batch : batches) {
      Frame frame = engine.frame();
      frame.batch = batch;
      Workload work(engine, frame);
      Session session = engine.session();
      const Timing t = time_runs(flags.seconds, [&] { work.run(session); });
      const MemoryReport memory = session.memory(frame, {work.output()});
      const std::size_t launches = session.steps(frame, {work.output()}).size();
      const std::string size = cli::size_text(frame.width, frame.height);
      std::printf("%-28s %-10s %5d %10.2f %10.2f %10.2f %9.2f %10.2f %10.2f %8zu\n", engine.network().c_str(),
                  size.c_str(), batch, t.median_ms, t.p10_ms, t.p90_ms, 1e3 * batch / t.median_ms,
                  memory.arena_bytes / 1048576., memory.arena_bytes / 1048576. / batch, launches);
      std::fflush(stdout);
      json["device"] = engine.device();
      json["rows"].push_back({{"network", engine.network()},
                              {"width", frame.width},
                              {"height", frame.height},
                              {"batch", batch},
                              {"fused", !flags.unfused},
                              {"median_ms", t.median_ms},
                              {"p10_ms", t.p10_ms},
                              {"p90_ms", t.p90_ms},
                              {"runs", t.runs},
                              {"images_per_s", 1e3 * batch / t.median_ms},
                              {"arena_bytes", memory.arena_bytes},
                              {"lower_bound_bytes", memory.lower_bound_bytes},
                              {"weight_bytes", memory.weight_bytes},
                              {"launches", launches}});
    }
  }
  finish(flags.json, json);
}

// ---- memory ----

struct MemoryFlags {
  cli::EngineFlags engine;
  std::vector<std::string> models;
  std::string batches = "1", json;
  bool resident = false;
};

// The most memory that this process has held so far.
std::int64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

// "cpu", "cuda" or "reference": what the engine says it runs on, whatever was asked for.
std::string device_of(const Engine& engine) {
  const std::string device = engine.device();
  return device.starts_with("CPU") ? "cpu" : device.starts_with("reference") ? "reference" : "cuda";
}

void memory(const MemoryFlags& flags, Json json) {
  json["rows"] = Json::array();
  const std::vector<int> batches = parse_batches(flags.batches);
  std::vector<std::string> models = flags.models;
  if (models.empty())
    for (const Architecture& a : architectures()) models.push_back(a.name);
  std::printf("%-34s %-10s %5s %12s %12s %12s %7s %12s\n", "network", "size", "batch", "sum MiB", "bound MiB",
              "arena MiB", "ratio", "MiB/image");
  for (const std::string& model : models) {
    const Engine engine = cli::open_engine(model, flags.engine.options());
    for (const int batch : batches) {
      Frame frame = engine.frame();
      frame.batch = batch;
      Session session = engine.session();
      if (flags.resident) Workload(engine, frame).run(session);
      const MemoryReport m = session.memory(frame);
      const double mib = 1048576.;
      std::printf("%-34s %-10s %5d %12.3f %12.3f %12.3f %7.3f %12.3f\n", engine.network().c_str(),
                  cli::size_text(frame.width, frame.height).c_str(), batch, m.sum_bytes / mib,
                  m.lower_bound_bytes / mib, m.arena_bytes / mib,
                  static_cast<double>(m.arena_bytes) / static_cast<double>(m.lower_bound_bytes),
                  m.arena_bytes / mib / batch);
      std::fflush(stdout);
      json["rows"].push_back({{"network", engine.network()},
                              {"device", device_of(engine)},
                              {"device_name", engine.device()},
                              {"precision", flags.engine.precision},
                              {"width", frame.width},
                              {"height", frame.height},
                              {"batch", batch},
                              {"sum_bytes", m.sum_bytes},
                              {"lower_bound_bytes", m.lower_bound_bytes},
                              {"arena_bytes", m.arena_bytes},
                              {"weight_bytes", m.weight_bytes}});
      if (flags.resident) json["rows"].back()["peak_resident_bytes"] = peak_resident_bytes();
    }
  }
  if (flags.resident) std::printf("peak resident memory of this process: %.2f MiB\n", peak_resident_bytes() / 1048576.);
  finish(flags.json, json);
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
    engine = cli::open_engine(flags.model, flags.engine.options());
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
    finish(flags.json, json);
  }
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
  fps_command->add_option("--batch", fps_flags.batches, "1,2,4,...");
  fps_command->add_option("--seconds", fps_flags.seconds, "of measuring per row")->check(cli::above_zero);
  fps_command->add_flag("--unfused", fps_flags.unfused, "every layer on its own");
  fps_command->add_option("--json", fps_flags.json, "also write the rows to this file");
  fps_flags.engine.add_to(*fps_command, true);

  MemoryFlags memory_flags;
  CLI::App* memory_command = app.add_subcommand("memory", "arena, lower bound and the sum without reuse");
  memory_command->add_option("--model", memory_flags.models, "all architectures by default")->delimiter(',');
  memory_command->add_option("--batch", memory_flags.batches, "1,8,32,...");
  memory_command->add_option("--json", memory_flags.json, "also write the rows to this file");
  memory_command->add_flag("--resident", memory_flags.resident,
                           "also run once, and tell the process's peak (of one model at a time)");
  memory_flags.engine.add_to(*memory_command, true);

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
    if (*fps_command) return fps(fps_flags, recipe(argc, argv));
    if (*memory_command) return memory(memory_flags, recipe(argc, argv));
  });
}
