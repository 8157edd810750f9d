// A line plot as SVG: what `fathom_bench fps --plot` draws. Text in, text out; no library.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace fathom {

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;  // by rising x
};

struct Plot {
  std::string title, caption;  // above and below
  std::string x_label, y_label;
  std::vector<Curve> curves;
};

// x is logarithmic with a tick at every x that occurs (x > 0). y begins at 0, or is logarithmic where the largest y is
// more than 20 times the smallest. Every curve has a colour and a mark of its own, and its place in the legend is by
// its last y. Throws Error{usage} without any point, or with values that are not above 0.
std::string to_svg(const Plot& plot);

}  // namespace fathom
