// fathom_weights: what is in a model file, what it becomes on a device, and whether it computes what it should.
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/graph_json.hpp"
#include "engine/model.hpp"
#include "engine/model_file.hpp"
#include "engine/safetensors.hpp"
#include "engine/synthetic.hpp"
#include "samples/cli.hpp"
#include "samples/files.hpp"

namespace {

using namespace fathom;
using Json = nlohmann::ordered_json;

std::string count_text(double value) {
  char text[32];
  const char* unit = value >= 1e9 ? "G" : value >= 1e6 ? "M" : "k";
  std::snprintf(text, sizeof text, "%.2f %s", value / (value >= 1e9 ? 1e9 : value >= 1e6 ? 1e6 : 1e3), unit);
  return text;
}

std::string grouped(std::int64_t value) {
  const std::string digits = std::to_string(value);
  std::string text;
  for (std::size_t k = 0; k < digits.size(); ++k) {
    if (k && (digits.size() - k) % 3 == 0) text += ',';
    text += digits[k];
  }
  return text;
}

Frame config_frame(const ModelConfig& c) {
  return {1, c.crop_height ? c.crop_height : c.input_height, c.crop_width ? c.crop_width : c.input_width};
}

// What a plan adds up to, and the least time that an H200 could take, at rates that such cards reach: each step's bytes
// once, or its arithmetic in fp16 on tensor cores, whichever takes longer.
struct Totals {
  double flops = 0, bytes = 0, floor_s = 0;
  int launches = 0;

  explicit Totals(const std::vector<StepInfo>& steps) {
    constexpr double bytes_per_s = 4.3e12, flops_per_s = 790e12;
    for (const StepInfo& s : steps) {
      flops += s.flops, bytes += s.bytes, launches += s.launches;
      floor_s += std::max(s.bytes / bytes_per_s, s.flops / flops_per_s);
    }
  }
};

// ---- list ----

Json plan_row(const std::string& architecture, EngineOptions options, bool fuse) {
  options.plan_only = true, options.fuse = fuse;
  const Engine engine = Engine::synthetic(architecture, options);
  Session session = engine.session();
  const Totals totals(session.steps(engine.frame()));
  const MemoryReport memory = session.memory(engine.frame());
  return {{"device", engine.device()},
          {"launches", totals.launches},
          {"bytes", totals.bytes},
          {"floor_us", totals.floor_s * 1e6},
          {"arena_bytes", memory.arena_bytes},
          {"lower_bound_bytes", memory.lower_bound_bytes}};
}

// The plans of all networks before and after passes, at the papers' sizes: computed, nothing runs.
void list_plans(const EngineOptions& options, bool as_json) {
  Json rows = Json::array();
  std::string device;
  if (!as_json)
    std::printf("%-34s %-9s %19s %17s %17s %17s\n", "architecture, unfused -> fused", "at", "launches", "MB",
                "floor us", "arena MiB");
  for (const Architecture& a : architectures()) {
    const Frame frame = config_frame(a.config);
    Json before = plan_row(a.name, options, false), after = plan_row(a.name, options, true);
    device = after["device"], before.erase("device"), after.erase("device");
    rows.push_back(
        {{"name", a.name}, {"width", frame.width}, {"height", frame.height}, {"unfused", before}, {"fused", after}});
    if (as_json) continue;
    const auto pair = [&](const char* key, double unit) {
      char text[40];
      std::snprintf(text, sizeof text, "%.4g -> %.4g", before[key].get<double>() / unit,
                    after[key].get<double>() / unit);
      return std::string(text);
    };
    std::printf("%-34s %-9s %19s %17s %17s %17s\n", a.name.c_str(), cli::size_text(frame.width, frame.height).c_str(),
                pair("launches", 1).c_str(), pair("bytes", 1e6).c_str(), pair("floor_us", 1).c_str(),
                pair("arena_bytes", 1048576).c_str());
  }
  if (as_json)
    std::printf("%s\n",
                Json{{"measured", false}, {"device", device}, {"batch", 1}, {"networks", rows}}.dump(1).c_str());
}

void list(bool as_json) {
  Json rows = Json::array();
  if (!as_json)
    std::printf("%-34s %13s %10s  %-9s  %-26s %s\n", "architecture", "parameters", "mult-adds", "at", "input -> output",
                "paper");
  for (const Architecture& a : architectures()) {
    const Frame frame = config_frame(a.config);
    const Census census = take_census(a, a.config, frame);
    const std::string size = cli::size_text(frame.width, frame.height);
    const std::string output =
        std::string(enum_names<OutputKind>[static_cast<std::size_t>(a.config.output)]) + ", " + a.config.unit;
    if (as_json)
      rows.push_back({{"name", a.name},
                      {"paper", a.paper},
                      {"parameters", census.parameters},
                      {"multiply_adds", census.multiply_adds},
                      {"width", frame.width},
                      {"height", frame.height},
                      {"inputs", a.inputs},
                      {"output", output}});
    else
      std::printf("%-34s %13s %10s  %-9s  %-26s %s\n", a.name.c_str(), grouped(census.parameters).c_str(),
                  count_text(census.multiply_adds).c_str(), size.c_str(),
                  (std::string(a.inputs) + " -> " + output).c_str(), a.paper.c_str());
  }
  if (as_json) std::printf("%s\n", Json{{"architectures", rows}}.dump(1).c_str());
}

// ---- synthesize ----

void synthesize(const std::string& name, const std::string& seed, const std::string& path, bool half) {
  Model model = synthetic_model(name, seed);
  const std::size_t count = model.weights.size();
  write_model_file(path, {name, config_to_json(model.config), "", std::move(model.weights)},
                   half ? DType::f16 : DType::f32);
  std::fprintf(stderr, "%s: %s with synthetic weights (%zu tensors)\n", path.c_str(), name.c_str(), count);
}

// ---- inspect ----

struct InspectFlags {
  cli::EngineFlags engine;
  std::string model, outputs;
  int batch = 1;
  bool unfused = false, direct = false, json = false, layers = false;
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::string part;
  for (char c : text + ",")
    if (c == ',') {
      if (!part.empty()) parts.push_back(part);
      part.clear();
    } else
      part += c;
  return parts;
}

std::vector<std::string> output_names(const Engine& engine, const Frame& frame, const std::string& choice) {
  if (choice != "all") return split(choice);
  std::vector<std::string> names;
  for (const TensorInfo& o : engine.outputs(frame)) names.push_back(o.name);
  return names;
}

void inspect(const InspectFlags& flags) {
  EngineOptions options = flags.engine.options();
  options.fuse = !flags.unfused, options.low_products = !flags.direct;
  options.plan_only = true;  // nothing runs here
  const Engine engine = cli::open_engine(flags.model, options, flags.engine.verbose);
  Frame frame = engine.frame();
  frame.batch = flags.batch;
  const std::vector<std::string> outputs = output_names(engine, frame, flags.outputs);
  Session session = engine.session();
  const MemoryReport memory = session.memory(frame, outputs);
  const std::vector<StepInfo> steps = session.steps(frame, outputs);
  const double written = engine.multiply_adds(frame);
  const Totals totals(steps);

  if (flags.json) {
    Json rows = Json::array();
    for (const StepInfo& s : steps)
      rows.push_back({{"name", s.name},
                      {"op", s.op},
                      {"kernel", s.kernel},
                      {"shape", s.shape},
                      {"flops", s.flops},
                      {"bytes", s.bytes},
                      {"launches", s.launches},
                      {"alone", flags.unfused ? "" : s.alone},
                      {"refused", s.refused}});
    std::printf("%s\n", Json{{"network", engine.network()},
                             {"device", engine.device()},
                             {"width", frame.width},
                             {"height", frame.height},
                             {"batch", frame.batch},
                             {"fused", !flags.unfused},
                             {"launches", totals.launches},
                             {"floor_us", totals.floor_s * 1e6},
                             {"flops", totals.flops},
                             {"multiply_adds_as_written", written},
                             {"bytes", totals.bytes},
                             {"arena_bytes", memory.arena_bytes},
                             {"lower_bound_bytes", memory.lower_bound_bytes},
                             {"sum_bytes", memory.sum_bytes},
                             {"workspace_bytes", memory.workspace_bytes},
                             {"weight_bytes", memory.weight_bytes},
                             {"steps", rows}}
                            .dump(1)
                            .c_str());
    return;
  }
  std::printf("%s at %dx%d, batch %d, on %s\n", engine.network().c_str(), frame.width, frame.height, frame.batch,
              engine.device().c_str());
  for (const TensorInfo& t : engine.inputs(frame))
    std::printf("  input  %-14s %s (%ld, %ld, %ld, %ld)\n", t.name.c_str(), t.kind.c_str(), t.shape[0], t.shape[1],
                t.shape[2], t.shape[3]);
  for (const TensorInfo& t : engine.outputs(frame))
    std::printf("  output %-14s %s (%ld, %ld, %ld, %ld)\n", t.name.c_str(), t.kind.c_str(), t.shape[0], t.shape[1],
                t.shape[2], t.shape[3]);
  if (flags.layers) {
    const Model model = std::filesystem::exists(flags.model) ? open_model(flags.model, options.budget_bytes)
                                                             : synthetic_model(flags.model);
    std::printf("\nas its authors wrote it:\n%s", to_text(build_graph(model, frame)).c_str());
  }
  std::printf("\n%-44s %-20s %-28s %9s %9s\n", "step", "output", "kernel", "MFLOP", "MB");
  for (const StepInfo& s : steps) {
    std::printf("%-44s %-20s %-28s %9.2f %9.3f\n", s.name.c_str(), s.shape.c_str(), s.kernel.c_str(), s.flops / 1e6,
                s.bytes / 1e6);
    if (flags.layers) std::printf("    %s\n", s.op.c_str());
    if (!s.alone.empty() && !flags.unfused) std::printf("    alone: %s\n", s.alone.c_str());
    if (flags.layers)
      for (const std::string& why : s.refused) std::printf("    not %s\n", why.c_str());
  }
  std::printf("\n%d launches, %.2f MB to move; multiply-adds: %.3f G as written with all outputs, %.3f G as run\n",
              totals.launches, totals.bytes / 1e6, written / 1e9, totals.flops / 2e9);
  std::printf("floor: %.1f us at 4.3 TB/s and 790 TFLOP/s (fp16 on an H200), step by step\n", totals.floor_s * 1e6);
  std::printf(
      "memory: weights %.2f MiB; arena %.3f MiB (%.3f an image), lower bound %.3f, without reuse %.3f; workspace "
      "%.3f\n",
      memory.weight_bytes / 1048576., memory.arena_bytes / 1048576., memory.arena_bytes / 1048576. / frame.batch,
      memory.lower_bound_bytes / 1048576., memory.sum_bytes / 1048576., memory.workspace_bytes / 1048576.);
}

// ---- run and verify ----

struct Run {
  Frame frame;
  std::vector<std::vector<std::byte>> inputs;
  std::vector<TensorInfo> infos;
  std::vector<std::vector<float>> outputs;
};

std::string dims(const Desc& d) { return shape_text(d); }

// One input as the engine takes it, (N, H, W, C) in memory, and what size it has.
struct Input {
  Frame frame;
  std::vector<std::byte> bytes;
};

// A photograph: u8 (H, W, C) or (N, H, W, C). Another input: f32 (N, C, H, W), whose channels go last.
Input read_input(const SafetensorsFile& file, const TensorInfo& in) {
  const auto wrong = [&](const std::string& what) -> void {
    throw Error(ErrorKind::file, file.path() + ": 'input." + in.name + "' " + what);
  };
  const TensorEntry* entry = file.find("input." + in.name);
  if (!entry) throw Error(ErrorKind::file, file.path() + ": the tensor 'input." + in.name + "' is missing");
  const Desc& d = entry->desc;
  const bool photograph = in.kind == "u8";
  if (to_string(d.dtype) != in.kind || (d.rank != 4 && !(photograph && d.rank == 3)))
    wrong("must be " + std::string(photograph ? "u8 (H, W, C) or (N, H, W, C)" : "f32 (N, C, H, W)") + ", it is " +
          to_string(d.dtype) + " " + dims(d));
  const std::int64_t* extent = d.extent.data() + (d.rank - 3);  // of one picture
  const std::int64_t n = d.rank == 4 ? d.extent[0] : 1, c = photograph ? extent[2] : extent[0];
  const std::int64_t h = photograph ? extent[0] : extent[1], w = photograph ? extent[1] : extent[2];
  if (c != in.shape[1])
    wrong("has " + std::to_string(c) + " channels, the network takes " + std::to_string(in.shape[1]));
  Input input{{static_cast<int>(n), static_cast<int>(h), static_cast<int>(w)},
              std::vector<std::byte>(static_cast<std::size_t>(entry->end - entry->begin))};
  if (photograph) {
    file.read(*entry, input.bytes.data());
    return input;
  }
  const std::shared_ptr<const float[]> values = file.read_floats(*entry);
  float* to = reinterpret_cast<float*>(input.bytes.data());
  for (std::int64_t image = 0; image < n; ++image)
    for (std::int64_t pixel = 0; pixel < h * w; ++pixel)
      for (std::int64_t channel = 0; channel < c; ++channel) *to++ = values[(image * c + channel) * h * w + pixel];
  return input;
}

// Runs a model on the tensors "input.<name>" of a file.
Run run_file(const Engine& engine, const SafetensorsFile& file, const std::string& choice) {
  Run run;
  for (const TensorInfo& in : engine.inputs({1, engine.frame().height, engine.frame().width})) {
    Input input = read_input(file, in);
    if (!run.inputs.empty() && !(input.frame == run.frame))
      throw Error(ErrorKind::file, file.path() + ": the inputs differ in size");
    run.frame = input.frame;
    run.inputs.push_back(std::move(input.bytes));
  }
  const std::vector<std::string> wanted = output_names(engine, run.frame, choice);
  const std::vector<TensorInfo> known = engine.outputs(run.frame);
  for (const std::string& name : wanted)
    if (std::none_of(known.begin(), known.end(), [&](const TensorInfo& o) { return o.name == name; })) {
      std::string list;
      for (const TensorInfo& o : known) list += (list.empty() ? "" : ", ") + o.name;
      throw Error(ErrorKind::usage, "the network has no output '" + name + "'; it has " + list);
    }
  for (const TensorInfo& o : known)
    if (wanted.empty() ? run.infos.empty() : std::find(wanted.begin(), wanted.end(), o.name) != wanted.end())
      run.infos.push_back(o);
  std::vector<const void*> inputs;
  for (const auto& in : run.inputs) inputs.push_back(in.data());
  std::vector<NamedOutput> outputs;
  for (const TensorInfo& o : run.infos)
    run.outputs.emplace_back(static_cast<std::size_t>(o.shape[0] * o.shape[1] * o.shape[2] * o.shape[3]));
  for (std::size_t k = 0; k < run.infos.size(); ++k) outputs.push_back({run.infos[k].name, run.outputs[k].data()});
  engine.session().run_from_host(run.frame, inputs, outputs);
  return run;
}

Desc desc_of(const TensorInfo& t) { return Desc::dense({t.shape[0], t.shape[1], t.shape[2], t.shape[3]}); }

void run_to(const Engine& engine, const std::string& in_path, const std::string& out_path, const std::string& choice) {
  const Run run = run_file(engine, *SafetensorsFile::open(in_path), choice);
  std::vector<NamedTensor> tensors;
  for (std::size_t k = 0; k < run.infos.size(); ++k)
    tensors.push_back(NamedTensor::of("output." + run.infos[k].name,
                                      {desc_of(run.infos[k]), const_cast<float*>(run.outputs[k].data())}));
  write_safetensors(out_path, tensors, {{"network", engine.network()}, {"device", engine.device()}});
}

// error = max|y - g| / max(max g - min g, max|g| / 10), over each output; NaN never agrees.
void verify(const Engine& engine, const std::string& path, double tolerance) {
  const std::shared_ptr<const SafetensorsFile> opened = SafetensorsFile::open(path);
  const SafetensorsFile& file = *opened;
  std::string wanted;
  for (const TensorEntry& entry : file.entries())
    if (entry.name.starts_with("output.")) wanted += entry.name.substr(7) + ",";
  if (wanted.empty()) throw Error(ErrorKind::file, path + ": no tensor 'output.<name>' to compare with");
  const Run run = run_file(engine, file, wanted);
  bool agrees = true;
  for (std::size_t k = 0; k < run.infos.size(); ++k) {
    const TensorEntry& entry = *file.find("output." + run.infos[k].name);
    const Desc d = desc_of(run.infos[k]);
    if (entry.desc.dtype != DType::f32 || !entry.desc.same_extents(d))
      throw Error(ErrorKind::file, path + ": '" + entry.name + "' is " + to_string(entry.desc.dtype) + " " +
                                       dims(entry.desc) + ", the network gives f32 " + dims(d));
    const std::shared_ptr<const float[]> golden = file.read_floats(entry);
    const float* g = golden.get();
    double low = INFINITY, high = -INFINITY, largest = 0;
    for (std::int64_t i = 0; i < d.elements(); ++i) {
      low = std::min(low, static_cast<double>(g[i])), high = std::max(high, static_cast<double>(g[i]));
      const double difference =
          std::fabs(static_cast<double>(run.outputs[k][static_cast<std::size_t>(i)]) - static_cast<double>(g[i]));
      largest = std::isnan(difference) || difference > largest ? difference : largest;
      if (std::isnan(largest)) break;
    }
    const double error =
        largest == 0 ? 0 : largest / std::max(high - low, 0.1 * std::max(std::fabs(low), std::fabs(high)));
    const bool ok = error <= tolerance;
    agrees = agrees && ok;
    std::printf("%-14s error %.2e  %s\n", run.infos[k].name.c_str(), error, ok ? "agrees" : "DIFFERS");
  }
  if (!agrees)
    throw Error(ErrorKind::model, "the outputs differ by more than " + std::to_string(tolerance) + " of their range");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Lists, makes, shows, runs and verifies Fathom's model files.", "fathom_weights"};
  app.require_subcommand(1);

  bool list_json = false;
  CLI::App* list_command = app.add_subcommand("list", "the networks, their papers, parameters and multiply-adds");
  list_command->add_flag("--json", list_json);
  bool plans = false;
  cli::EngineFlags plan_flags;
  list_command->add_flag("--plans", plans, "what each becomes on a device, before and after passes: computed, not run");
  plan_flags.add_to(*list_command, false);

  std::string name, seed, out;
  bool half = false;
  CLI::App* synthesize_command =
      app.add_subcommand("synthesize", "a model file with synthetic weights: the right work, meaningless depth");
  synthesize_command->add_option("ARCH", name, "a name that `list` prints")->required();
  synthesize_command->add_option("--seed", seed);
  synthesize_command->add_option("-o,--output", out)->required();
  synthesize_command->add_flag("--half", half, "store fp16");

  InspectFlags inspect_flags;
  CLI::App* inspect_command = app.add_subcommand("inspect", "the network as it runs, step by step, and its memory");
  inspect_command->add_option("MODEL", inspect_flags.model, "a model file, or an architecture's name")->required();
  inspect_flags.engine.add_to(*inspect_command, true);
  inspect_command->add_option("--batch", inspect_flags.batch)->check(CLI::Range(1, 65536));
  inspect_command->add_option("--outputs", inspect_flags.outputs, "a,b or all; the primary one by default");
  bool fused = true;
  inspect_command->add_flag("--fused", fused, "the default");
  inspect_command->add_flag("--unfused", inspect_flags.unfused, "every layer on its own");
  inspect_command->add_flag("--direct", inspect_flags.direct,
                            "convolve enlarged maps at full size, not by products at the small one");
  bool finite = false;
  inspect_command->add_flag("--finite", finite,
                            "of a model file: read every weight first, and name those with NaN or infinity");
  inspect_command->add_flag("--layers", inspect_flags.layers,
                            "also the graph before passes, and why faster kernels refused");
  inspect_command->add_flag("--json", inspect_flags.json);

  std::string model, in_path, out_path, outputs = "all";
  double tolerance = 1e-4;
  cli::EngineFlags flags;
  CLI::App* export_command = app.add_subcommand("export", "the network's graph as JSON, on stdout or to a file");
  export_command->add_option("MODEL", model)->required();
  flags.add_size(*export_command);
  flags.add_budget(*export_command);
  export_command->add_option("-o,--output", out_path);

  CLI::App* run_command = app.add_subcommand("run", "tensors in, tensors out");
  run_command->add_option("MODEL", model)->required();
  run_command
      ->add_option("IN", in_path,
                   "safetensors with input.<name>: photographs u8 (H, W, C) or (N, H, W, C), others f32 (N, C, H, W)")
      ->required();
  run_command->add_option("OUT", out_path, "safetensors with output.<name>, float32 (N, C, H, W)")->required();
  run_command->add_option("--outputs", outputs, "a,b or all");
  flags.add_to(*run_command, false);

  CLI::App* verify_command = app.add_subcommand("verify", "compares with recorded outputs, e.g. of PyTorch");
  verify_command->add_option("MODEL", model)->required();
  verify_command->add_option("GOLDEN", in_path, "safetensors with input.<name> and output.<name>")->required();
  verify_command->add_option("--tolerance", tolerance, "of the output's range")->capture_default_str();
  flags.add_to(*verify_command, false);

  return cli::run(app, argc, argv, [&] {
    if (*list_command && plans) return list_plans(plan_flags.options(), list_json);
    if (*list_command) return list(list_json);
    if (*synthesize_command) return synthesize(name, seed, out, half);
    if (*inspect_command && finite) {
      std::string found;
      for (const std::string& tensor :
           check_finite(load_model_file(inspect_flags.model, inspect_flags.engine.budget_bytes())))
        found += (found.empty() ? "" : "; ") + tensor;
      if (!found.empty()) throw Error(ErrorKind::model, inspect_flags.model + ": " + found);
    }
    if (*inspect_command) return inspect(inspect_flags);
    if (*run_command)
      return run_to(cli::open_engine(model, flags.options(), flags.verbose), in_path, out_path, outputs);
    if (*verify_command) return verify(cli::open_engine(model, flags.options(), flags.verbose), in_path, tolerance);
    const Model m = std::filesystem::exists(model) ? open_model(model, flags.budget_bytes()) : synthetic_model(model);
    const cli::Size size = cli::parse_size(flags.size);
    const Frame own = config_frame(m.config);
    const std::string json =
        graph_to_json(build_graph(m, {1, size.height ? size.height : own.height, size.width ? size.width : own.width}));
    if (out_path.empty()) {
      std::printf("%s\n", json.c_str());
    } else {
      write_file(out_path, json + "\n");
    }
  });
}
