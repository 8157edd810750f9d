#include "bench/accuracy.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "fathom/error.hpp"
#include "samples/pfm.hpp"
#include "tests/catch.hpp"
#include "tests/folder.hpp"

using namespace fathom;

namespace {

// Expected numbers were computed with NumPy and PyTorch from the same formulas.
void check_metrics(const Metrics& metrics, const std::vector<double>& expected) {
  std::size_t k = 0;
  Metrics::fields(metrics, [&](const char* key, double v) {
    INFO(key);
    CHECK(v == Approx(expected.at(k++)).epsilon(2e-6));
  });
  CHECK(k == expected.size());
}

template <class F>
FloatMap map_of(int width, int height, const F& f) {
  FloatMap map{width, height, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) map.values.push_back(static_cast<float>(f(x, y)));
  return map;
}

// With holes (0) and readings beyond 80 m.
FloatMap truth() {
  return map_of(64, 48, [](int x, int y) {
    if ((x * 5 + y) % 23 == 0) return 85.0;
    if ((x + 3 * y) % 17 == 0) return 0.0;
    return 2 + 0.05 * x + 0.1 * y + (x * 7 + y * 13) % 11 * 0.3;
  });
}
FloatMap depth() {
  return map_of(32, 20, [](int x, int y) { return 1 + 0.11 * x + 0.2 * y + 0.2 * ((x * 3 + y * 5) % 7); });
}
FloatMap disparity() {
  return map_of(32, 20, [](int x, int y) { return 1 / (1 + 0.11 * x + 0.2 * y) * (1 + 0.1 * ((x * 3 + y * 5) % 7)); });
}

const std::vector<double> depth_whole = {0.297548155, 0.754927096, 2.433069369, 0.408955486, 0.159969207,
                                         0.222985183, 0.698229129, 0.945789664, 0.177792790, 0.320294622};

}  // namespace

TEST_CASE("metrics of five pixels, with ratios of exactly 1.25", "[bench]") {
  MetricSums sums;
  const double p[] = {1, 2, 3, 5, 10}, g[] = {1, 2.5, 2, 4, 20};
  for (int i = 0; i < 5; ++i) sums.add(p[i], g[i]);
  check_metrics(sums.metrics(),
                {0.29, 1.17, 4.522167622, 0.385860352, 0.134188256, 0.2, 0.8, 0.8, 0.381546553, 0.347131099});
}

TEST_CASE("a depth is resized to the truth, and holes and readings beyond the cap do not count", "[bench]") {
  const ImageAccuracy result = evaluate("a", depth(), truth(), {.cap = 80});
  CHECK(result.sums.pixels == 2767);
  CHECK(result.ratio == 1);
  CHECK(result.clamped == 0);
  check_metrics(result.metrics, depth_whole);
}

TEST_CASE("a disparity is resized before it is inverted; Garg's crop and median scaling", "[bench]") {
  const AccuracyOptions options{.prediction = PredictionKind::disparity, .crop = Crop::garg, .cap = 80, .median = true};
  const ImageAccuracy result = evaluate("a", disparity(), truth(), options);
  CHECK(result.sums.pixels == 1488);
  CHECK(result.ratio == Approx(2.0278290154578804).epsilon(1e-6));
  check_metrics(result.metrics, {0.131617808, 0.212232711, 1.321526247, 0.163329867, 0.057274436, 0.828629032,
                                 0.995295699, 1.0, 0.163301948, 0.162561973});
  // The factor of a disparity is taken out by the median.
  FloatMap doubled = disparity();
  for (float& v : doubled.values) v *= 2;
  CHECK(evaluate("a", doubled, truth(), options).metrics.abs_rel == Approx(result.metrics.abs_rel).epsilon(1e-6));
  // A fixed factor is none but that.
  const ImageAccuracy scaled =
      evaluate("a", disparity(), truth(),
               {.prediction = PredictionKind::disparity, .crop = Crop::garg, .cap = 80, .scale = result.ratio});
  CHECK(scaled.metrics.abs_rel == Approx(result.metrics.abs_rel).epsilon(1e-6));
}

TEST_CASE("pictures are averaged one by one, or pooled in batches", "[bench]") {
  const AccuracyOptions as_depth{.cap = 80}, as_disparity{.prediction = PredictionKind::disparity, .cap = 80};
  const std::vector<ImageAccuracy> images = {evaluate("a", depth(), truth(), as_depth),
                                             evaluate("b", disparity(), truth(), as_disparity)};
  const AccuracyReport report = summarise(images);
  check_metrics(report.mean, {0.410881497, 1.412051573, 3.224210640, 0.602883507, 0.246247120, 0.111492591, 0.369353090,
                              0.653776653, 0.199194146, 0.426715341});
  check_metrics(summarise(images, {.batch = 8}).mean,
                {0.410881497, 1.412051573, 3.319855232, 0.633306087, 0.246247120, 0.111492591, 0.369353090, 0.653776653,
                 0.282160146, 0.439785575});

  const auto json = nlohmann::json::parse(to_json(report));
  REQUIRE(json["images"].size() == 2);
  CHECK(json["images"][0]["name"] == "a");
  CHECK(json["images"][0]["pixels"] == 2767);
  CHECK(json["images"][0]["rms"].get<double>() == Approx(2.433069369).epsilon(2e-6));
  for (const char* key : metrics_of("all")) CHECK(json["mean"].contains(key));
  CHECK(json["mean"]["delta1"].get<double>() == Approx(0.111492591).epsilon(2e-6));

  const std::string table = to_table(report, metrics_of("hr_depth"), true);
  CHECK(table.find("0.4109") != std::string::npos);
  CHECK(table.find("log10") == std::string::npos);
  CHECK_THROWS_AS(metrics_of("nobody"), Error);
}

TEST_CASE("predictions without meaning are clamped and counted", "[bench]") {
  const FloatMap measured{5, 1, {1, 1, 1, 1, 1}};
  const FloatMap odd{5, 1, {1, 0, -3, std::nanf(""), 1000}};
  const ImageAccuracy result = evaluate("a", odd, measured, {.cap = 10});
  CHECK(result.impossible == 3);
  CHECK(result.clamped == 4);
  CHECK(result.metrics.log10 == Approx((3 * 3 + 1) / 5.0));  // 0.001 thrice, 10 once
  CHECK(result.metrics.delta1 == Approx(0.2));
  // Without a cap a disparity of zero is infinitely far, and the report says so rather than hide it.
  const AccuracyReport endless =
      summarise({evaluate("a", {2, 1, {1, 0}}, {2, 1, {1, 1}}, {.prediction = PredictionKind::disparity})});
  CHECK(std::isinf(endless.mean.rms));
  CHECK(nlohmann::json::parse(to_json(endless))["mean"]["rms"].is_null());
}

TEST_CASE("a truth in which nothing counts is an error", "[bench]") {
  CHECK_THROWS_WITH(evaluate("kitchen", depth(), map_of(8, 8, [](int, int) { return 0; }), {}), says("kitchen"));
  CHECK_THROWS_AS(evaluate("a", depth(), truth(), {.cap = 1}), Error);
}

TEST_CASE("crops are the published ones", "[bench]") {
  const auto text = [](const PixelRows& r) {
    return std::to_string(r.top) + ":" + std::to_string(r.bottom) + " " + std::to_string(r.left) + ":" +
           std::to_string(r.right);
  };
  CHECK(text(crop_bounds(Crop::none, 1242, 375)) == "0:375 0:1242");
  CHECK(text(crop_bounds(Crop::garg, 1242, 375)) == "153:371 44:1197");
  CHECK(text(crop_bounds(Crop::eigen, 1242, 375)) == "124:342 44:1197");
  CHECK(text(crop_bounds(Crop::nyu, 640, 480)) == "20:460 24:616");
  CHECK(text(crop_bounds(Crop::nyu_bts, 640, 480)) == "45:471 41:601");
  CHECK(text(crop_bounds(Crop::nyu, 320, 240)) == "10:230 12:308");
}

TEST_CASE("the score of the MAI challenge", "[bench]") {
  CHECK(mai_score(0.2, 100) == Approx(400));  // 2^-4 / (100 / 640000)
  CHECK(mai_score(0.2, 100, 1.0 / 64000) == Approx(40));
}

TEST_CASE("photographs, measured depths and predictions find each other by name", "[bench]") {
  const Folder folder("pairs");
  for (const char* name :
       {"b.jpg", "b_depth.png", "a.PNG", "a_depth.npy", "lonely_depth.png", "notes.txt", "photo_only.jpeg"})
    put(folder / name, "x");
  const auto pairs = find_pairs(folder.path);
  REQUIRE(pairs.size() == 3);
  CHECK(pairs[0].name == "a");
  CHECK(pairs[0].photo == folder / "a.PNG");
  CHECK(pairs[0].truth == folder / "a_depth.npy");
  CHECK(pairs[1].photo == folder / "b.jpg");
  CHECK(pairs[2].name == "lonely");
  CHECK(pairs[2].photo.empty());

  const Folder predictions("predictions");
  put(predictions / "a.npy", "x"), put(predictions / "b_depth.png", "x");
  CHECK(find_prediction(predictions.path, pairs[0], 3) == predictions / "a.npy");
  CHECK(find_prediction(predictions.path, pairs[1], 3) == predictions / "b_depth.png");
  CHECK_THROWS_WITH(find_prediction(predictions.path, pairs[2], 3), says("lonely"));
  CHECK(find_prediction(predictions / "a.npy", pairs[2], 1) == predictions / "a.npy");
  CHECK_THROWS_AS(find_prediction(predictions / "a.npy", pairs[2], 2), Error);
  CHECK_THROWS_AS(find_prediction(predictions / "none", pairs[2], 1), Error);

  CHECK_THROWS_AS(find_pairs(folder / "none"), Error);
  const Folder empty("empty");
  CHECK_THROWS_WITH(find_pairs(empty.path), says("_depth.png"));
  put(empty / "depth.npy", "x");
  CHECK(find_pairs(empty.path).at(0).truth == empty / "depth.npy");
  put(empty / "depth.png", "x");
  CHECK_THROWS_AS(find_pairs(empty.path), Error);
}

TEST_CASE("depths are read in metres", "[bench]") {
  const Folder folder("depths");
  const Plane16Reader reader = [](const std::filesystem::path&) { return Plane16{2, 1, {0, 5000}}; };
  CHECK(read_depth(folder / "a_depth.png", 5000, reader) == FloatMap{2, 1, {0, 1}});
  write_pfm(folder / "a.pfm", 2, 1, {0.5f, 3});
  CHECK(read_depth(folder / "a.pfm", 5000, reader) == FloatMap{2, 1, {0.5f, 3}});
  CHECK_THROWS_AS(read_depth(folder / "a_depth.png", 0, reader), Error);
  CHECK_THROWS_AS(read_depth(folder / "a.exr", 1, reader), Error);
}
