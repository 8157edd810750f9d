// How well predictions fit measured depth: which pixels count, how a prediction is brought to the truth's size and
// scale, and how pictures are averaged.
#pragma once

#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "bench/metrics.hpp"
#include "engine/ops.hpp"
#include "samples/float_map.hpp"
#include "samples/plane16.hpp"

namespace fathom {

// The part of the truth that counts, as shares of its size, or in pixels of 640x480 for the indoor ones (and in
// proportion where the truth has another size).
//   garg:     rows 0.40810811 to 0.99189189, columns 0.03594771 to 0.96405229
//   eigen:    rows 0.3324324 to 0.91351351, columns 0.0359477 to 0.96405229
//   nyu:      rows 20 to 460, columns 24 to 616 (DenseDepth)
//   nyu_bts:  rows 45 to 471, columns 41 to 601 (BTS, AdaBins)
enum class Crop { none, garg, eigen, nyu, nyu_bts };
inline constexpr const char* crop_names[] = {"none", "garg", "eigen", "nyu", "nyu_bts"};
template <>
inline constexpr std::span<const char* const> enum_names<Crop> = crop_names;

struct PixelRows {  // half-open
  int top = 0, bottom = 0, left = 0, right = 0;
};
PixelRows crop_bounds(Crop crop, int width, int height);

// What a prediction's numbers are. Disparities (1 / depth, whatever the factor) are resized before they are inverted.
enum class PredictionKind { depth, disparity };
inline constexpr const char* prediction_kind_names[] = {"depth", "disparity"};
template <>
inline constexpr std::span<const char* const> enum_names<PredictionKind> = prediction_kind_names;

struct AccuracyOptions {
  PredictionKind prediction = PredictionKind::depth;
  Crop crop = Crop::none;
  double min_depth = 1e-3;  // metres: only a truth above it and below the cap counts; predictions are clamped to both
  double cap = std::numeric_limits<double>::infinity();
  bool median = false;  // predictions times median(truth) / median(prediction), of each picture's counted pixels
  double scale = 1;     // predictions times this, before anything else (5.4 for Monodepth2 trained on stereo)
  int batch = 1;        // pictures whose pixels are pooled before the mean is taken: 1, but 8 in the UMich paper
};

struct ImageAccuracy {
  std::string name;
  MetricSums sums;
  Metrics metrics;
  double ratio = 1;             // of median scaling
  std::int64_t clamped = 0;     // counted pixels whose prediction lay outside the limits
  std::int64_t impossible = 0;  // of these, zero, negative or not a number: taken as min_depth
};

// The prediction is resized bilinearly (half-pixel centres) to the truth's size, scaled, and clamped. Throws
// Error{usage} when no pixel counts.
ImageAccuracy evaluate(const std::string& name, const FloatMap& prediction, const FloatMap& truth,
                       const AccuracyOptions& options = {});

struct AccuracyReport {
  std::vector<ImageAccuracy> images;
  Metrics mean;
};

// The mean over pictures (or batches of them) of each metric.
AccuracyReport summarise(std::vector<ImageAccuracy> images, const AccuracyOptions& options = {});

std::string to_json(const AccuracyReport& report);  // {"images": [{"name", metrics..., ...}], "mean": {metrics...}}
std::string to_table(const AccuracyReport& report, std::span<const char* const> metrics, bool each_image = false);

// A photograph and its truth, of a folder: NAME.(png|jpg|jpeg) and NAME_depth.(png|npy), or a truth alone: its own
// NAME_depth.* or depth.(png|npy), for predictions made elsewhere. By name, in order.
struct AccuracyPair {
  std::string name;
  std::filesystem::path photo;  // empty: none
  std::filesystem::path truth;
};
// Throws Error{file} when the folder is missing and Error{usage} when it holds no truth.
std::vector<AccuracyPair> find_pairs(const std::filesystem::path& folder);

// The prediction for a pair: the file itself when there is one pair, else NAME.(npy|pfm|png) or NAME_depth.* in a
// folder.
std::filesystem::path find_prediction(const std::filesystem::path& given, const AccuracyPair& pair, std::size_t pairs);

// Metres from a file: .npy and .pfm floats as they are; 16-bit PNG, and .npy of whole numbers, divided by the scale.
using Plane16Reader = std::function<Plane16(const std::filesystem::path&)>;
FloatMap read_depth(const std::filesystem::path& path, double depth_scale, const Plane16Reader& read_png);

}  // namespace fathom
