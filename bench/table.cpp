#include "bench/table.hpp"

#include <algorithm>
#include <map>

#include "bench/batches.hpp"
#include "engine/model.hpp"
#include "fathom/error.hpp"

namespace fathom {

namespace {

// A figure of one network, as it came out here.
struct Found {
  double value = 0;  // 0: not measured
  std::string remark;
  std::optional<Timing> timing;
  int batch = 0;
};
using Values = std::map<std::string, Found>;  // by figure

// Images per second.
Found speed_of(const Engine& engine, int batch, double seconds) {
  Frame frame = engine.frame();
  frame.batch = batch;
  Workload work(engine, frame);
  Session session = engine.session();
  const Timing timing = time_network(seconds, work, session, engine);
  return {1e3 * batch / timing.median_ms, "", timing, batch};
}

// The same at the largest batch, or the largest that this machine's memory and the time limit allow.
Found speed_at(const Engine& engine, int largest, const Found& one, const TableOptions& options) {
  const std::int64_t device = engine.session().memory(engine.frame()).device_free_bytes;
  const int fits = std::min(largest, largest_batch_of(engine, (device >= 0 ? device : free_memory_bytes()) / 10 * 9));
  if (fits < 1) return {0, "not measured: the free memory here has no room for one image"};
  const int batch = batch_within(options.limit_s, 1e3 / one.value, fits);
  options.progress("measuring " + engine.network() + " at batch " + std::to_string(batch));
  Found found;
  try {
    found = speed_of(engine, batch, options.seconds);
  } catch (const Error& e) {  // the figures at batch 1 are no worse for it
    return {0, "batch " + std::to_string(batch) + ": " + e.what()};
  }
  const std::string why =
      batch < fits     ? "more would take over " + std::to_string(static_cast<int>(options.limit_s)) + " s (--limit)"
      : fits < largest ? "the free memory here has room for no more"
                       : "";
  found.remark = "batch " + std::to_string(batch);
  if (!why.empty()) found.remark += " of " + std::to_string(largest) + ": " + why;
  return found;
}

Engine engine_of(const PaperRow& row, EngineOptions options) {
  options.input_width = row.width, options.input_height = row.height;
  options.budget_bytes = std::int64_t{1} << 50;  // batches are planned that do not fit: memory is the limit
  return Engine::synthetic(row.network, options);
}

// The speeds that are asked for, and the largest batch that the paper's GPU would have the memory for.
void measure_speed(const Engine& engine, const PaperTable& table, const TableOptions& options, Values& values) {
  Found& one = values["images_per_s"] = speed_of(engine, 1, options.seconds);
  values["ms"] = {one.timing->median_ms, "", one.timing, 1};
  if (!table.memory_bytes) return;
  const int largest = largest_batch_of(engine, static_cast<std::int64_t>(table.memory_bytes));
  values["largest_batch"].value = largest;
  if (options.largest && largest) values["images_per_s_largest"] = speed_at(engine, largest, one, options);
}

// All that the table asks for about one network.
Values measure(const PaperRow& row, const PaperTable& table, const TableOptions& options) {
  const Model model = synthetic_model(row.network);
  const Frame frame{1, row.height, row.width};
  const Engine engine = engine_of(row, options.engine);
  const Census census = take_census(*model.architecture, model.config, frame);
  const MemoryReport memory = engine.session().memory(frame);
  Values values;
  values["parameters"].value = static_cast<double>(census.parameters) / 1e6;
  values["mega_multiply_adds"].value = census.multiply_adds / 1e6;
  values["giga_multiply_adds"].value = census.multiply_adds / 1e9;
  values["kept_mb"].value = static_cast<double>(kept_bytes(build_graph(model, frame))) / 1e6;
  values["weight_mb"].value = static_cast<double>(memory.weight_bytes) / 1e6;
  values["arena_mb"].value = static_cast<double>(memory.arena_bytes) / 1e6;
  measure_speed(engine, table, options, values);
  return values;
}

// The speed with every layer on its own: as the papers' frameworks run networks.
Values measure_naive(const PaperRow& row, const PaperTable& table, const TableOptions& options) {
  EngineOptions naive = options.engine;
  naive.fuse = false;
  Values values;
  measure_speed(engine_of(row, naive), table, options, values);
  return values;
}

// How many times as fast one network is as another, by one figure and way of running.
TableLine ratio_line(const PaperRatio& ratio, const char* key, double paper, const Found& a, const Found& b,
                     const std::string& way) {
  TableLine line{.network = ratio.network + " : " + ratio.than, .figure = key, .paper = paper, .remark = way};
  if (a.value > 0 && b.value > 0) {
    line.here = a.value / b.value;
    if (line.figure == ratio_largest)
      line.remark += ", batches " + std::to_string(a.batch) + " and " + std::to_string(b.batch);
  } else {
    for (const Found* f : {&a, &b})
      if (!f->remark.empty()) line.remark += ", " + f->remark;
  }
  return line;
}

}  // namespace

int batch_within(double limit_s, double image_ms, int largest) {
  constexpr double runs = 5;  // one that does not count, three that do, and some of making the pictures
  return static_cast<int>(std::clamp(1e3 * limit_s / (runs * image_ms), 1., static_cast<double>(largest)));
}

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
    if (!has_row(table, name)) throw Error(ErrorKind::usage, "the table " + table.name + " has no row '" + name + "'");
  std::vector<const PaperRow*> rows;
  for (const PaperRow& row : table.rows)
    if (wanted(row.network)) rows.push_back(&row);
  std::vector<PaperRatio> ratios;
  for (const PaperRatio& r : table.ratios)
    if (wanted(r.network) && wanted(r.than)) ratios.push_back(r);
  std::vector<const PaperRow*> naive_rows;
  for (const PaperRow* row : rows)
    if (std::any_of(ratios.begin(), ratios.end(),
                    [&](const PaperRatio& r) { return row->network == r.network || row->network == r.than; }))
      naive_rows.push_back(row);

  TableOptions told = options;  // with how far it has come
  std::size_t done = 0;
  told.progress = [&](const std::string& text) {
    options.progress(table.name + ", " + std::to_string(done) + " of " +
                     std::to_string(rows.size() + naive_rows.size()) + ": " + text);
  };
  // What fails leaves the other rows; its remark says why.
  const auto attempt = [&](const auto& measured, const PaperRow& row, const std::string& how) {
    ++done;
    told.progress("measuring " + row.network + how);
    Values values;
    try {
      values = measured(row, table, told);
    } catch (const Error& e) {
      for (const Figure& f : table.figures) values[f.key].remark = std::string("cannot be measured here: ") + e.what();
    }
    return values;
  };

  std::map<std::string, Values> fused, naive;  // by network
  std::map<std::string, std::vector<TableLine>> by_figure;
  for (const PaperRow* row : rows) {
    const Values& here = fused[row->network] = attempt(measure, *row, "");
    for (const Figure& figure : table.figures) {
      const auto said = row->paper.find(figure.key);
      const auto found = here.find(figure.key);
      TableLine line{row->network, row->width, row->height, figure.key};
      if (said != row->paper.end()) line.paper = said->second;
      if (found != here.end())
        line.here = found->second.value, line.remark = found->second.remark, line.timing = found->second.timing,
        line.batch = found->second.batch;
      line.note = row->note;
      by_figure[figure.key].push_back(std::move(line));
    }
  }
  for (const PaperRow* row : naive_rows) naive[row->network] = attempt(measure_naive, *row, ", every layer on its own");

  std::vector<TableLine> lines;
  for (const Figure& figure : table.figures)
    for (TableLine& line : by_figure[figure.key]) lines.push_back(std::move(line));
  for (const auto& [key, speed, said] : {std::tuple{ratio_one, "images_per_s", table.ratio_one},
                                         std::tuple{ratio_largest, "images_per_s_largest", table.ratio_largest}})
    for (const PaperRatio& r : ratios)
      for (auto* way : {&naive, &fused}) {
        lines.push_back(ratio_line(r, key, said, (*way)[r.network][speed], (*way)[r.than][speed],
                                   way == &fused ? "fused" : "every layer on its own"));
        for (const PaperRow* row : rows)
          if (row->network == r.than) lines.back().note = row->note;
      }
  return lines;
}

}  // namespace fathom
