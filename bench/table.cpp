#include "bench/table.hpp"

#include <algorithm>
#include <cstdio>

#include "bench/batches.hpp"
#include "bench/workload.hpp"
#include "engine/model.hpp"
#include "fathom/error.hpp"

namespace fathom {

namespace {

constexpr const char* ratio_one = "ratio_one";
constexpr const char* ratio_largest = "ratio_largest";

using Values = std::map<std::string, double>;

bool has(const PaperTable& table, const std::string& key) {
  return std::any_of(table.figures.begin(), table.figures.end(), [&](const Figure& f) { return f.key == key; });
}

double images_per_s(const Engine& engine, int batch, double seconds) {
  Frame frame = engine.frame();
  frame.batch = batch;
  Workload work(engine, frame);
  Session session = engine.session();
  return 1e3 * batch / time_network(seconds, work, session, engine).median_ms;
}

// A batch that this machine has the memory for, where the paper's GPU has more.
int runnable(const Engine& engine, int batch) {
  const std::int64_t device = engine.session().memory(engine.frame()).device_free_bytes;
  const int here = largest_batch_of(engine, (device >= 0 ? device : free_memory_bytes()) / 10 * 9);
  return std::clamp(here, 1, batch);
}

Engine engine_of(const PaperRow& row, const PaperTable& table, EngineOptions options) {
  options.input_width = row.width, options.input_height = row.height;
  options.budget_bytes = std::max(options.budget_bytes, static_cast<std::int64_t>(table.memory_bytes));
  return Engine::synthetic(row.network, options);
}

// All that the table asks for about one network.
Values measure(const PaperRow& row, const PaperTable& table, const TableOptions& options) {
  const Model model = synthetic_model(row.network);
  const Frame frame{1, row.height, row.width};
  const Engine engine = engine_of(row, table, options.engine);
  const Census census = take_census(*model.architecture, model.config, frame);
  Values values{{"parameters", static_cast<double>(census.parameters) / 1e6},
                {"mega_multiply_adds", census.multiply_adds / 1e6},
                {"giga_multiply_adds", census.multiply_adds / 1e9},
                {"kept_mb", static_cast<double>(kept_bytes(build_graph(model, frame))) / 1e6}};
  const MemoryReport memory = engine.session().memory(frame);
  values["weight_mb"] = static_cast<double>(memory.weight_bytes) / 1e6;
  values["arena_mb"] = static_cast<double>(memory.arena_bytes) / 1e6;
  values["images_per_s"] = images_per_s(engine, 1, options.seconds);
  values["ms"] = 1e3 / values["images_per_s"];
  if (!has(table, "largest_batch")) return values;
  const int largest = largest_batch_of(engine, static_cast<std::int64_t>(table.memory_bytes));
  values["largest_batch"] = largest;
  if (options.largest && largest)
    values["images_per_s_largest"] = images_per_s(engine, runnable(engine, largest), options.seconds);
  return values;
}

// How many times as fast one row's network is as another's, every layer on its own: as the papers' frameworks run them.
Values measure_naive(const PaperRow& row, const PaperTable& table, const TableOptions& options) {
  EngineOptions naive = options.engine;
  naive.fuse = false;
  const Engine engine = engine_of(row, table, naive);
  Values values{{"images_per_s", images_per_s(engine, 1, options.seconds)}};
  if (!options.largest) return values;
  if (const int largest = largest_batch_of(engine, static_cast<std::int64_t>(table.memory_bytes)))
    values["images_per_s_largest"] = images_per_s(engine, runnable(engine, largest), options.seconds);
  return values;
}

std::string cell(double value, int digits) {
  if (!(value > 0)) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

}  // namespace

std::int64_t kept_bytes(const Graph& graph) {
  // A sum works in place where it ends a block (an activation follows), but not the one after SENet's gate.
  std::vector<bool> activated(graph.values.size()), gated(graph.values.size());
  for (const Node& node : graph.nodes) {
    if (std::holds_alternative<Activation>(node.op)) activated[static_cast<std::size_t>(node.in[0].id)] = true;
    if (std::holds_alternative<Multiply>(node.op)) gated[static_cast<std::size_t>(node.out[0].id)] = true;
  }
  std::int64_t sum = 0;
  for (const Node& node : graph.nodes) {
    const auto is_gated = [&](Value v) { return gated[static_cast<std::size_t>(v.id)]; };
    const bool sum_in_place = std::holds_alternative<Add>(node.op) &&
                              activated[static_cast<std::size_t>(node.out[0].id)] &&
                              std::none_of(node.in.begin(), node.in.end(), is_gated);
    if (!sum_in_place && !std::holds_alternative<Activation>(node.op)) sum += graph[node.out[0]].desc.elements() * 4;
  }
  return sum;
}

std::vector<TableLine> fill_table(const PaperTable& table, const TableOptions& options) {
  const auto wanted = [&](const std::string& network) {
    return options.only.empty() || std::find(options.only.begin(), options.only.end(), network) != options.only.end();
  };
  for (const std::string& name : options.only)
    if (std::none_of(table.rows.begin(), table.rows.end(), [&](const PaperRow& r) { return r.network == name; }))
      throw Error(ErrorKind::usage, "the table " + table.name + " has no row '" + name + "'");

  std::map<std::string, Values> fused, naive;  // by network
  std::map<std::string, std::vector<TableLine>> by_figure;
  for (const PaperRow& row : table.rows) {
    if (!wanted(row.network)) continue;
    options.progress("measuring " + row.network);
    Values here;
    std::string note = row.note;
    try {
      here = fused[row.network] = measure(row, table, options);
    } catch (const Error& e) {  // the other rows are no worse for it
      note = std::string("cannot be measured here: ") + e.what();
    }
    for (const Figure& figure : table.figures) {
      const auto said = row.paper.find(figure.key);
      const auto found = here.find(figure.key);
      by_figure[figure.key].push_back({row.network, row.width, row.height, figure.key,
                                       said == row.paper.end() ? 0 : said->second,
                                       found == here.end() ? 0 : found->second, note});
    }
  }
  std::vector<TableLine> lines;
  for (const Figure& figure : table.figures)
    for (TableLine& line : by_figure[figure.key]) lines.push_back(std::move(line));

  for (const PaperRatio& r : table.ratios) {
    if (!wanted(r.network) || !wanted(r.than)) continue;
    for (const PaperRow& row : table.rows)
      if (row.network == r.network || row.network == r.than) {
        options.progress("measuring " + row.network + ", every layer on its own");
        try {
          naive[row.network] = measure_naive(row, table, options);
        } catch (const Error&) {  // what fails unfused fails for memory: the ratio stays open
        }
      }
    for (const auto& [key, speed, said] : {std::tuple{ratio_one, "images_per_s", table.ratio_one},
                                           std::tuple{ratio_largest, "images_per_s_largest", table.ratio_largest}})
      for (auto* way : {&naive, &fused}) {
        const double a = (*way)[r.network][speed], b = (*way)[r.than][speed];
        lines.push_back({r.network + " : " + r.than, 0, 0, key, said, b > 0 ? a / b : 0,
                         way == &fused ? "fused" : "every layer on its own"});
      }
  }
  return lines;
}

std::string to_text(const PaperTable& table, const std::vector<TableLine>& lines) {
  std::vector<Figure> figures = table.figures;
  figures.push_back({ratio_one, "times as many images/s at batch 1", 1, ""});
  figures.push_back({ratio_largest, "times as many images/s at the largest batch", 1, "measured with --largest"});
  std::string text = table.title + (table.machine.empty() ? "" : " (paper: " + table.machine + ")") + "\n";
  char row[160];
  for (const Figure& figure : figures) {
    bool first = true;
    for (const TableLine& line : lines) {
      if (line.figure != figure.key) continue;
      if (first) text += "\n" + figure.title + (figure.note.empty() ? "" : " - " + figure.note) + "\n";
      if (first)
        std::snprintf(row, sizeof row, "  %-40s %9s %10s %10s %7s  %s\n", "network", "size", "paper", "here", "ratio",
                      "notes"),
            text += row;
      first = false;
      const std::string size = line.width ? std::to_string(line.width) + "x" + std::to_string(line.height) : "";
      std::snprintf(row, sizeof row, "  %-40s %9s %10s %10s %7s", line.network.c_str(), size.c_str(),
                    cell(line.paper, figure.digits).c_str(), cell(line.here, figure.digits).c_str(),
                    cell(line.ratio(), 3).c_str());
      text += row + (line.note.empty() ? "" : "  " + line.note) + "\n";
    }
  }
  return text;
}

}  // namespace fathom
