// A paper's table beside what is measured here: one line for each network and figure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/papers.hpp"
#include "bench/workload.hpp"
#include "engine/graph.hpp"
#include "fathom/fathom.hpp"

namespace fathom {

struct TableOptions {
  EngineOptions engine;           // its input size is the row's
  double seconds = 1;             // of measuring a figure
  bool largest = false;           // also run the largest batch
  double limit_s = 60;            // of measuring a figure at the largest batch: a smaller one where that takes longer
  std::vector<std::string> only;  // networks; empty: all
  std::function<void(const std::string&)> progress = [](const std::string&) {};
};

struct TableLine {
  std::string network;
  int width = 0, height = 0;
  std::string figure;            // its key
  double paper = 0, here = 0;    // 0: not said, not measured
  std::string remark;            // how it was measured, or why it was not
  std::string note;              // of the row
  std::optional<Timing> timing;  // of a figure that is a time or a rate
  int batch = 0;                 // that was timed

  double ratio() const { return paper > 0 && here > 0 ? here / paper : 0; }
};

constexpr const char* ratio_one = "ratio_one";          // figures of the lines that compare two networks:
constexpr const char* ratio_largest = "ratio_largest";  // at batch 1, and each at its largest

// In the order of the table's figures, the ratios between networks last.
std::vector<TableLine> fill_table(const PaperTable& table, const TableOptions& options);
// `here`: what it was measured on. Notes of rows are below the table, once each.
std::string to_text(const PaperTable& table, const std::vector<TableLine>& lines, const std::string& here);
// {"table", "title", "paper_machine", "rows": [...]}
std::string to_json(const PaperTable& table, const std::vector<TableLine>& lines);

// The largest batch whose five runs take no longer than the limit, by what one image takes; one at least.
int batch_within(double limit_s, double image_ms, int largest);

// What PyTorch keeps of a network for training, and the papers call its RAM: the output of every operation, batch norm
// apart from its convolution, activations and the sums before them in place. Within some percent: what works in place
// is each author's choice (RSIDE's last activations do not).
std::int64_t kept_bytes(const Graph& graph);

}  // namespace fathom
