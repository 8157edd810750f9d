#include "bench/table_command.hpp"

#include <algorithm>
#include <cstdio>

#include "fathom/error.hpp"

namespace fathom {

namespace {

// The tables that are meant, each with those of the networks that it has.
struct Chosen {
  const PaperTable* paper;
  std::vector<std::string> networks;  // empty: all
};

std::vector<Chosen> choose(const std::vector<std::string>& papers, const std::vector<std::string>& networks) {
  std::vector<Chosen> all;
  for (const std::string& name : papers) {
    if (name != "all") {
      all.push_back({&find_paper_table(name), {}});
      continue;
    }
    all.clear();
    for (const PaperTable& paper : paper_tables()) all.push_back({&paper, {}});
    break;
  }
  for (const std::string& network : networks) {
    bool known = false;
    for (Chosen& c : all)
      if (has_row(*c.paper, network)) known = true, c.networks.push_back(network);
    if (!known) throw Error(ErrorKind::usage, "no table that is asked for has a row '" + network + "'");
  }
  if (!networks.empty()) std::erase_if(all, [](const Chosen& c) { return c.networks.empty(); });
  return all;
}

}  // namespace

void TableFlags::add_to(CLI::App& app) {
  app.add_option("PAPER", papers, "drnet, cnd, hr_depth, mobile_baseline, or all")->required();
  app.add_option("--model", options.only, "of their networks only these")->delimiter(',');
  app.add_option("--seconds", options.seconds, "of measuring per figure")->check(cli::above_zero);
  app.add_flag("--largest", options.largest,
               "also run the largest batch that fits into the memory of the paper's GPU, and into what is free here");
  app.add_option("--limit", options.limit_s,
                 "seconds of measuring per figure at the largest batch: a smaller one where that takes longer")
      ->check(cli::above_zero)
      ->capture_default_str();
  app.add_option("--json", json, "also write the lines to this file");
  engine.add_to(app, false);
}

void print_tables(const TableFlags& flags, Json report) {
  const std::vector<Chosen> chosen = choose(flags.papers, flags.options.only);
  cli::Progress progress;
  TableOptions options = flags.options;
  options.engine = flags.engine.options();
  options.progress = [&](const std::string& text) { progress.show(text); };
  const std::string device = Engine::synthetic("pose_cnn", options.engine).device();
  report["device"] = device, report["tables"] = Json::array();
  std::string here = device;
  if (device.starts_with("CPU")) here += ", " + report["machine"].get<std::string>();
  here += ", " + flags.engine.precision + ", " + report["date"].get<std::string>();
  if (const std::string load = load_text(report); !load.empty()) here += "; " + load;
  for (const Chosen& c : chosen) {
    options.only = c.networks;
    const std::vector<TableLine> lines = fill_table(*c.paper, options);
    progress.show("");
    std::printf("%s%s", &c == &chosen[0] ? "" : "\n", to_text(*c.paper, lines, here).c_str());
    std::fflush(stdout);
    report["tables"].push_back(Json::parse(to_json(*c.paper, lines)));
    write_report(flags.json, report);  // with every table: what ends a long run early leaves the others'
  }
}

}  // namespace fathom
