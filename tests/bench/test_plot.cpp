#include "bench/plot.hpp"

#include <cmath>
#include <cstdlib>
#include <string>

#include "fathom/error.hpp"
#include "tests/catch.hpp"

using namespace fathom;

namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

// The points of the n-th curve drawn, in pixels.
std::vector<std::pair<double, double>> drawn(const std::string& svg, int n) {
  std::size_t at = 0;
  for (int k = 0; k <= n; ++k) at = svg.find("<polyline points=\"", at) + 18;
  std::vector<std::pair<double, double>> points;
  for (const char* text = svg.c_str() + at; *text != '"';) {
    char* end = nullptr;
    const double x = std::strtod(text, &end);
    points.emplace_back(x, std::strtod(end + 1, &end));
    text = *end == ' ' ? end + 1 : end;
  }
  return points;
}

}  // namespace

TEST_CASE("a plot puts its points where its axes say", "[bench]") {
  const Plot plot{"images per second",
                  "CPU",
                  "batch",
                  "images/s",
                  {{"slow & small", {{1, 10}, {2, 15}, {8, 20}}}, {"fast", {{1, 40}}}}};
  const std::string svg = to_svg(plot);
  CHECK(svg.starts_with("<svg xmlns"));
  CHECK(svg.ends_with("</svg>\n"));
  CHECK(count(svg, "<polyline") == 2);
  CHECK(count(svg, "<circle") == 4 + 2);  // points and legend
  CHECK(svg.find("slow &amp; small") != std::string::npos);
  CHECK(svg.find("fast</text>") < svg.find("slow &amp;"));  // the one that ends higher comes first
  for (const char* tick : {">1<", ">2<", ">8<", ">0<", ">10<", ">40<"}) CHECK(svg.find(tick) != std::string::npos);

  const auto slow = drawn(svg, 1), fast = drawn(svg, 0);
  REQUIRE((slow.size() == 3 && fast.size() == 1));
  CHECK(slow[1].first - slow[0].first ==
        Approx((slow[2].first - slow[0].first) / 3).margin(0.01));  // 1, 2, 8: logarithmic
  CHECK(slow[0].second - slow[1].second == Approx(slow[1].second - slow[2].second).margin(0.01));  // 10, 15, 20
  CHECK(fast[0].second < slow[2].second);
  CHECK(fast[0].first == slow[0].first);
}

TEST_CASE("a plot of far-apart numbers is logarithmic", "[bench]") {
  const auto points = drawn(to_svg({"", "", "x", "y", {{"a", {{1, 1}, {2, 10}, {4, 100}}}}}), 0);
  CHECK(points[0].second - points[1].second == Approx(points[1].second - points[2].second).margin(0.01));
}

TEST_CASE("a plot refuses what it cannot show", "[bench]") {
  CHECK_THROWS_AS(to_svg({}), Error);
  CHECK_THROWS_AS(to_svg({"", "", "", "", {{"a", {}}}}), Error);
  CHECK_THROWS_AS(to_svg({"", "", "", "", {{"a", {{1, NAN}}}}}), Error);
  CHECK_THROWS_AS(to_svg({"", "", "", "", {{"a", {{0, 1}}}}}), Error);
  CHECK_NOTHROW(to_svg({"", "", "", "", {{"a", {{4, 1}}}}}));  // one point alone
}
