// The tables of the papers, as far as they speak of speed and size: what `fathom_bench table` compares itself with.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

namespace fathom {

// What is compared, by key.
struct Figure {
  std::string key, title;
  int digits = 2;    // after the point
  std::string note;  // where the paper's definition is not ours
};

struct PaperRow {
  std::string network;
  int width = 0, height = 0;
  std::map<std::string, double> paper;  // by figure; what the paper does not say is missing
  std::string note;
};

// How many times as fast as another row's network this one is said to be.
struct PaperRatio {
  std::string network, than;
};

struct PaperTable {
  std::string name, title;
  std::string machine;      // that the paper measured on
  double memory_bytes = 0;  // of that machine's GPU
  std::vector<Figure> figures;
  std::vector<PaperRow> rows;
  std::vector<PaperRatio> ratios;
  double ratio_one = 0, ratio_largest = 0;  // what the paper claims for them at batch 1 and at the largest
};

bool has_row(const PaperTable& table, const std::string& network);

std::span<const PaperTable> paper_tables();
const PaperTable& find_paper_table(const std::string& name);  // throws Error{usage} that lists the names

}  // namespace fathom
