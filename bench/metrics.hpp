// Error metrics of depth maps, as the papers define them. p is the prediction, g the truth, both positive, in metres.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace fathom {

struct Metrics {
  double abs_rel = 0;  // mean |p - g| / g
  double sq_rel = 0;   // mean (p - g)^2 / g
  double rms = 0;      // sqrt mean (p - g)^2
  double rms_log = 0;  // sqrt mean (ln p - ln g)^2
  double log10 = 0;    // mean |log10 p - log10 g|
  double delta1 = 0;   // share of pixels with max(p / g, g / p) < 1.25
  double delta2 = 0;   // ... < 1.25^2
  double delta3 = 0;   // ... < 1.25^3
  double si_rmse = 0;  // sqrt(mean d^2 - (mean d)^2), d = ln p - ln g
  double rms_rel = 0;  // sqrt mean ((p - g) / g)^2: what the UMich paper calls rms

  template <class Self, class F>
  static void fields(Self& self, F&& f) {
    f("abs_rel", self.abs_rel), f("sq_rel", self.sq_rel), f("rms", self.rms), f("rms_log", self.rms_log);
    f("log10", self.log10), f("delta1", self.delta1), f("delta2", self.delta2), f("delta3", self.delta3);
    f("si_rmse", self.si_rmse), f("rms_rel", self.rms_rel);
  }
};

// What the metrics are made of; sums of several pictures may be added.
struct MetricSums {
  std::int64_t pixels = 0;
  double abs_rel = 0, sq_rel = 0, squares = 0, log_squares = 0, log_sum = 0, log_magnitudes = 0, rel_squares = 0;
  std::int64_t within[3] = {0, 0, 0};

  void add(double p, double g);
  MetricSums& operator+=(const MetricSums& other);
  Metrics metrics() const;
};

// The metrics that a paper's tables show, in their order: "drnet", "umich", "cnd", "hr_depth", "mai" or "all". Throws
// Error{usage} that lists the papers.
std::span<const char* const> metrics_of(const std::string& paper);

// The score of the MAI 2021 challenge: 2^(-20 si_rmse) / (c runtime). c is 1 / 640000 per ms in the paper's first table
// and ten times that in its second.
double mai_score(double si_rmse, double runtime_ms, double c_per_ms = 1.0 / 640000);

}  // namespace fathom
