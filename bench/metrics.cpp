#include "bench/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "fathom/error.hpp"

namespace fathom {

void MetricSums::add(double p, double g) {
  const double difference = p - g, log_difference = std::log(p) - std::log(g);
  ++pixels;
  abs_rel += std::abs(difference) / g;
  sq_rel += difference * difference / g;
  squares += difference * difference;
  rel_squares += difference / g * (difference / g);
  log_sum += log_difference;
  log_squares += log_difference * log_difference;
  log_magnitudes += std::abs(log_difference);
  const double ratio = std::max(p / g, g / p);
  within[0] += ratio < 1.25;
  within[1] += ratio < 1.25 * 1.25;
  within[2] += ratio < 1.25 * 1.25 * 1.25;
}

MetricSums& MetricSums::operator+=(const MetricSums& other) {
  pixels += other.pixels;
  abs_rel += other.abs_rel, sq_rel += other.sq_rel, squares += other.squares, rel_squares += other.rel_squares;
  log_sum += other.log_sum, log_squares += other.log_squares, log_magnitudes += other.log_magnitudes;
  for (int k = 0; k < 3; ++k) within[k] += other.within[k];
  return *this;
}

Metrics MetricSums::metrics() const {
  const auto n = static_cast<double>(pixels);
  const double log_mean = log_sum / n;
  Metrics m;
  m.abs_rel = abs_rel / n;
  m.sq_rel = sq_rel / n;
  m.rms = std::sqrt(squares / n);
  m.rms_log = std::sqrt(log_squares / n);
  m.log10 = log_magnitudes / n / std::numbers::ln10;
  m.delta1 = static_cast<double>(within[0]) / n;
  m.delta2 = static_cast<double>(within[1]) / n;
  m.delta3 = static_cast<double>(within[2]) / n;
  const double variance = log_squares / n - log_mean * log_mean;
  m.si_rmse = std::sqrt(variance < 0 ? 0 : variance);  // not max(): a NaN must stay one
  m.rms_rel = std::sqrt(rel_squares / n);
  return m;
}

std::span<const char* const> metrics_of(const std::string& paper) {
  static constexpr const char* all[] = {"abs_rel", "sq_rel", "rms",    "rms_log", "log10",
                                        "delta1",  "delta2", "delta3", "si_rmse", "rms_rel"};
  static constexpr const char* drnet[] = {"rms", "log10", "delta1", "delta2", "delta3"};
  static constexpr const char* umich[] = {"abs_rel", "log10", "rms_rel", "delta1", "delta2", "delta3"};
  static constexpr const char* cnd[] = {"abs_rel", "log10", "rms"};
  static constexpr const char* hr_depth[] = {"abs_rel", "sq_rel", "rms", "rms_log", "delta1", "delta2", "delta3"};
  static constexpr const char* mai[] = {"rms", "si_rmse", "log10", "abs_rel"};
  if (paper == "all") return all;
  if (paper == "drnet") return drnet;
  if (paper == "umich") return umich;
  if (paper == "cnd") return cnd;
  if (paper == "hr_depth") return hr_depth;
  if (paper == "mai") return mai;
  throw Error(ErrorKind::usage,
              "there are no metrics of " + paper + ": choose all, drnet, umich, cnd, hr_depth or mai");
}

double mai_score(double si_rmse, double runtime_ms, double c_per_ms) {
  return std::exp2(-20 * si_rmse) / (c_per_ms * runtime_ms);
}

}  // namespace fathom
