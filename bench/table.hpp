// A paper's table beside what is measured here: one line for each network and figure.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "bench/papers.hpp"
#include "engine/graph.hpp"
#include "fathom/fathom.hpp"

namespace fathom {

struct TableOptions {
  EngineOptions engine;           // its input size is the row's
  double seconds = 1;             // of measuring a figure
  bool largest = false;           // also run the largest batch
  std::vector<std::string> only;  // networks; empty: all
  std::function<void(const std::string&)> progress = [](const std::string&) {};
};

struct TableLine {
  std::string network;
  int width = 0, height = 0;
  std::string figure;          // its key
  double paper = 0, here = 0;  // 0: not said, not measured
  std::string note;            // of the row, or why it was not measured

  double ratio() const { return paper > 0 && here > 0 ? here / paper : 0; }
};

// In the order of the table's figures, the ratios between networks last.
std::vector<TableLine> fill_table(const PaperTable& table, const TableOptions& options);
std::string to_text(const PaperTable& table, const std::vector<TableLine>& lines);

// What PyTorch keeps of a network for training, and the papers call its RAM: the output of every operation, batch norm
// apart from its convolution, activations and the sums before them in place. Within some percent: what works in place
// is each author's choice (RSIDE's last activations do not).
std::int64_t kept_bytes(const Graph& graph);

}  // namespace fathom
