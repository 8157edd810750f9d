#include "bench/accuracy.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/resample.hpp"
#include "fathom/error.hpp"

namespace fathom {
namespace {

// The mean of the two in the middle where their number is even, as NumPy takes it.
double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

}  // namespace

PixelRows crop_bounds(Crop crop, int width, int height) {
  const auto part = [&](double top, double bottom, double left, double right) {
    return PixelRows{static_cast<int>(top * height), static_cast<int>(bottom * height), static_cast<int>(left * width),
                     static_cast<int>(right * width)};
  };
  // In whole numbers, so that 640x480 itself loses nothing to rounding.
  const auto indoor = [&](std::int64_t top, std::int64_t bottom, std::int64_t left, std::int64_t right) {
    return PixelRows{static_cast<int>(top * height / 480), static_cast<int>(bottom * height / 480),
                     static_cast<int>(left * width / 640), static_cast<int>(right * width / 640)};
  };
  switch (crop) {
    case Crop::garg: return part(0.40810811, 0.99189189, 0.03594771, 0.96405229);
    case Crop::eigen: return part(0.3324324, 0.91351351, 0.0359477, 0.96405229);
    case Crop::nyu: return indoor(20, 460, 24, 616);
    case Crop::nyu_bts: return indoor(45, 471, 41, 601);
    case Crop::none: break;
  }
  return {0, height, 0, width};
}

ImageAccuracy evaluate(const std::string& name, const FloatMap& prediction, const FloatMap& truth,
                       const AccuracyOptions& options) {
  const std::vector<float> resized =
      resize_bilinear({prediction.values.data(), prediction.width, prediction.height}, truth.width, truth.height);
  const PixelRows crop = crop_bounds(options.crop, truth.width, truth.height);
  std::vector<double> p, g;
  for (int y = crop.top; y < crop.bottom; ++y)
    for (int x = crop.left; x < crop.right; ++x) {
      const double depth = truth.at(x, y);
      if (!(depth > options.min_depth && depth < options.cap)) continue;
      const double value = resized[static_cast<std::size_t>(std::int64_t{truth.width} * y + x)];
      g.push_back(depth);
      p.push_back(options.scale * (options.prediction == PredictionKind::disparity ? 1 / value : value));
    }
  if (g.empty())
    throw Error(ErrorKind::usage, name + ": no pixel of the measured depth counts: it should lie above " +
                                      std::to_string(options.min_depth) + " and below " + std::to_string(options.cap) +
                                      " m inside the crop \"" +
                                      enum_names<Crop>[static_cast<std::size_t>(options.crop)] +
                                      "\"; is the depth scale right?");

  ImageAccuracy result{name};
  if (options.median) {
    std::vector<double> sound;  // the rest has no order
    for (const double v : p)
      if (v > 0) sound.push_back(v);
    if (sound.empty()) throw Error(ErrorKind::usage, name + ": the prediction has no positive depth to scale by");
    result.ratio = median(g) / median(std::move(sound));
  }
  for (std::size_t i = 0; i < p.size(); ++i) {
    double v = p[i] * result.ratio;
    if (!(v > 0)) ++result.impossible;
    if (!(v >= options.min_depth)) v = options.min_depth, ++result.clamped;
    if (v > options.cap) v = options.cap, ++result.clamped;
    result.sums.add(v, g[i]);
  }
  result.metrics = result.sums.metrics();
  return result;
}

AccuracyReport summarise(std::vector<ImageAccuracy> images, const AccuracyOptions& options) {
  AccuracyReport report{std::move(images), {}};
  const auto batch = static_cast<std::size_t>(std::max(1, options.batch));
  std::vector<double> total;
  std::size_t batches = 0;
  for (std::size_t first = 0; first < report.images.size(); first += batch, ++batches) {
    MetricSums sums;
    for (std::size_t i = first; i < std::min(first + batch, report.images.size()); ++i) sums += report.images[i].sums;
    std::size_t k = 0;
    Metrics pooled = sums.metrics();
    Metrics::fields(pooled, [&](const char*, double v) {
      if (total.size() <= k) total.push_back(0);
      total[k++] += v;
    });
  }
  std::size_t k = 0;
  if (batches > 0)
    Metrics::fields(report.mean, [&](const char*, double& v) { v = total[k++] / static_cast<double>(batches); });
  return report;
}

std::string to_json(const AccuracyReport& report) {
  const auto object = [](const Metrics& metrics) {
    nlohmann::ordered_json json;
    Metrics::fields(metrics, [&](const char* key, double v) { json[key] = v; });
    return json;
  };
  nlohmann::ordered_json images = nlohmann::ordered_json::array();
  for (const ImageAccuracy& image : report.images) {
    nlohmann::ordered_json json{{"name", image.name}};
    json.update(object(image.metrics));
    json["pixels"] = image.sums.pixels;
    json["ratio"] = image.ratio;
    json["clamped"] = image.clamped;
    json["impossible"] = image.impossible;
    images.push_back(std::move(json));
  }
  nlohmann::ordered_json json;
  json["images"] = std::move(images);
  json["mean"] = object(report.mean);
  return json.dump(2);
}

std::string to_table(const AccuracyReport& report, std::span<const char* const> metrics, bool each_image) {
  std::size_t widest = 4;
  if (each_image)
    for (const ImageAccuracy& image : report.images) widest = std::max(widest, image.name.size());
  std::string table(widest, ' ');
  const auto cell = [](const std::string& text) {
    return std::string(text.size() < 10 ? 10 - text.size() : 1, ' ') + text;
  };
  for (const char* name : metrics) table += cell(name);
  const auto row = [&](const std::string& name, const Metrics& values) {
    table += "\n" + name + std::string(widest - name.size(), ' ');
    for (const char* wanted : metrics)
      Metrics::fields(values, [&](const char* key, double v) {
        char text[32];
        std::snprintf(text, sizeof text, "%.4f", v);
        if (std::string_view(key) == wanted) table += cell(text);
      });
  };
  if (each_image)
    for (const ImageAccuracy& image : report.images) row(image.name, image.metrics);
  row("mean", report.mean);
  return table + "\n";
}

}  // namespace fathom
