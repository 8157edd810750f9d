#include "bench/plot.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include "fathom/error.hpp"

namespace fathom {

namespace {

// Told apart by people who see few colours too (Okabe and Ito).
constexpr const char* colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"};
constexpr int marks = 3;  // circle, square, diamond

constexpr double left = 70, right = 20, top = 46, bottom = 72, inner_width = 520, inner_height = 340;  // pixels

std::string number(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", v);
  return text;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return out;
}

// From values to pixels.
struct Axis {
  double low = 0, high = 1;
  bool logarithmic = false;
  double begin = 0, length = 1;  // pixels; a negative length goes up

  double at(double v) const {
    const double share = logarithmic ? std::log(v / low) / std::log(high / low) : (v - low) / (high - low);
    return begin + length * share;
  }
};

// 1, 2 or 5 times a power of ten: the largest that gives at least `steps` steps up to v.
double round_step(double v, int steps) {
  const double power = std::pow(10, std::floor(std::log10(v / steps)));
  for (const double digit : {5., 2.})
    if (digit * power * steps <= v) return digit * power;
  return power;
}

std::vector<double> ticks(const Axis& axis) {
  std::vector<double> list;
  if (!axis.logarithmic) {
    const double step = round_step(axis.high, 4);
    for (int k = 0; k * step <= axis.high * 1.0001; ++k) list.push_back(k * step);
    return list;
  }
  for (double power = std::pow(10, std::floor(std::log10(axis.low))); power <= axis.high; power *= 10)
    for (const double digit : {1., 2., 5.})
      if (digit * power >= axis.low * 0.9999 && digit * power <= axis.high * 1.0001) list.push_back(digit * power);
  return list;
}

std::string text_at(double x, double y, const char* anchor, const std::string& text, const std::string& more = "") {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\"" + more + ">" +
         escaped(text) + "</text>\n";
}

std::string line(double x1, double y1, double x2, double y2, const std::string& stroke) {
  return "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) + "\" y2=\"" + number(y2) +
         "\" " + stroke + "/>\n";
}

std::string mark(double x, double y, std::size_t curve) {
  const std::string fill = std::string("\" fill=\"") + colours[curve % std::size(colours)] + "\"/>\n";
  const std::string cx = number(x), cy = number(y);
  switch (curve / std::size(colours) % marks) {
    case 0: return "<circle cx=\"" + cx + "\" cy=\"" + cy + "\" r=\"4" + fill;
    case 1: return "<rect x=\"" + number(x - 4) + "\" y=\"" + number(y - 4) + "\" width=\"8\" height=\"8" + fill;
  }
  return "<path d=\"M" + cx + " " + number(y - 5) + "l5 5-5 5-5-5z" + fill;
}

}  // namespace

std::string to_svg(const Plot& plot) {
  std::set<double> x_values;
  double low = INFINITY, high = 0;
  std::size_t longest = 0;
  for (const Curve& curve : plot.curves) {
    longest = std::max(longest, curve.name.size());
    for (const auto& [x, y] : curve.points) {
      if (!(x > 0 && y > 0 && std::isfinite(x) && std::isfinite(y)))
        throw Error(ErrorKind::usage, "a plot of '" + curve.name + "' needs numbers above 0");
      x_values.insert(x), low = std::min(low, y), high = std::max(high, y);
    }
  }
  if (x_values.empty()) throw Error(ErrorKind::usage, "nothing to plot: no curve has a point");

  const bool logarithmic = high > 20 * low;
  Axis x{*x_values.begin(), *x_values.rbegin(), true, left, inner_width};
  if (x.low == x.high) x.low /= 2, x.high *= 2;
  Axis y{0, 1.08 * high, logarithmic, top + inner_height, -inner_height};
  if (logarithmic) y.low = low / 1.4, y.high = high * 1.4;
  const double x_end = left + inner_width, y_end = top + inner_height, width = x_end + right + 34 + 7.2 * longest;

  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + number(std::ceil(width)) + "\" height=\"" +
                    number(top + inner_height + bottom) +
                    "\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n"
                    "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
  svg += text_at(left, 24, "start", plot.title, " font-size=\"15\"");
  double labelled = -INFINITY;
  for (const double v : x_values) {
    svg += line(x.at(v), top, x.at(v), y_end, "stroke=\"#ddd\"");
    const double half = 3.6 * number(v).size();
    if (x.at(v) - half < labelled + 4) continue;
    svg += text_at(x.at(v), y_end + 18, "middle", number(v)), labelled = x.at(v) + half;
  }
  for (const double v : ticks(y)) {
    svg += line(left, y.at(v), x_end, y.at(v), "stroke=\"#ddd\"");
    svg += text_at(left - 8, y.at(v) + 4, "end", number(v));
  }
  svg += line(left, y_end, x_end, y_end, "stroke=\"#222\"") + line(left, top, left, y_end, "stroke=\"#222\"");
  svg += text_at((left + x_end) / 2, y_end + 38, "middle", plot.x_label);
  svg += text_at(18, (top + y_end) / 2, "middle", plot.y_label,
                 " transform=\"rotate(-90 18 " + number((top + y_end) / 2) + ")\"");
  svg += text_at(left, y_end + 60, "start", plot.caption, " font-size=\"11\" fill=\"#666\"");

  std::vector<std::size_t> order;  // of the legend: as the curves end, from the top
  for (std::size_t k = 0; k < plot.curves.size(); ++k)
    if (!plot.curves[k].points.empty()) order.push_back(k);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return plot.curves[a].points.back().second > plot.curves[b].points.back().second;
  });
  for (const std::size_t k : order) {
    std::string path;
    for (const auto& [px, py] : plot.curves[k].points) path += number(x.at(px)) + "," + number(y.at(py)) + " ";
    path.pop_back();
    svg += "<polyline points=\"" + path + "\" fill=\"none\" stroke=\"" + colours[k % std::size(colours)] +
           "\" stroke-width=\"2\"/>\n";
    for (const auto& [px, py] : plot.curves[k].points) svg += mark(x.at(px), y.at(py), k);
  }
  for (std::size_t row = 0; row < order.size(); ++row) {
    const double at = top + 8 + 18 * static_cast<double>(row);
    svg += mark(x_end + right, at, order[row]) +
           text_at(x_end + right + 12, at + 4, "start", plot.curves[order[row]].name);
  }
  return svg + "</svg>\n";
}

}  // namespace fathom
