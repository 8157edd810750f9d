#include "engine/resample.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <new>
#include <numbers>
#include <string>
#include <system_error>
#include <thread>

#include "fathom/error.hpp"

namespace fathom {
namespace {

// f(begin, end) on shares of [0, count), on as many threads as the work (in multiply-adds) is worth.
template <class F>
void in_parallel(std::int64_t count, double work, int threads, const F& f) {
  if (threads <= 0) threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  constexpr double worth_a_thread = 4e6;
  threads =
      static_cast<int>(std::min({static_cast<double>(threads), static_cast<double>(count), work / worth_a_thread}));
  if (threads <= 1) return f(std::int64_t{0}, count);

  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(threads));
  const auto share = [&](int t) noexcept {
    try {
      f(count * t / threads, count * (t + 1) / threads);
    } catch (...) {
      failures[t] = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> team;
    team.reserve(failures.size());
    int t = 1;
    try {
      for (; t < threads; ++t) team.emplace_back(share, t);
    } catch (const std::system_error&) {  // no more threads to be had: this one does the rest
      for (; t < threads; ++t) share(t);
    }
    share(0);
  }
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

double weight(Filter filter, double x) {
  const auto sinc = [](double v) { return v == 0 ? 1.0 : std::sin(std::numbers::pi * v) / (std::numbers::pi * v); };
  if (filter == Filter::lanczos) return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0;
  return std::max(0.0, 1 - std::abs(x));
}

// Weights are fixed-point numbers of 22 fractional bits, 24 bits in all. Split in two they fit the 16-bit products that
// every x86 multiplies eight at a time: w = high 2^11 + low, -1024 <= low < 1024.
constexpr int fraction_bits = 22;
constexpr int low_bits = 11;
constexpr int block = 16;            // taps are padded with zeros to whole blocks
constexpr int longest_chunk = 4096;  // 255 * 1024 * 4096 < 2^31

// Output i is the sum over t of line[first[i] + t] * w[i][t].
struct Taps {
  int padded = 0;  // taps of each output, zeros included: a multiple of `block`
  std::vector<std::int64_t> first;
  std::vector<std::int16_t> high, low;  // [output][tap]
};

Taps make_taps(int in, int out, Filter filter) {
  const double scale = static_cast<double>(in) / out;
  const double stretch = std::max(scale, 1.0);  // when shrinking, the filter widens with the step: antialiasing
  const double support = (filter == Filter::lanczos ? 3 : 1) * stretch;
  const auto most = static_cast<int>(std::min(std::ceil(support) * 2 + 1, static_cast<double>(in)));

  Taps taps;
  taps.padded = (most + block - 1) / block * block;
  taps.first.resize(static_cast<std::size_t>(out));
  taps.high.assign(static_cast<std::size_t>(out) * taps.padded, 0);
  taps.low = taps.high;
  std::vector<double> w(static_cast<std::size_t>(most) + 1);
  for (int i = 0; i < out; ++i) {
    const double centre = (i + 0.5) * scale;
    const int begin = std::max(0, static_cast<int>(centre - support + 0.5));
    const int end = std::min(in, static_cast<int>(centre + support + 0.5));
    double sum = 0;
    for (int t = 0; t < end - begin; ++t) sum += w[t] = weight(filter, (t + begin - centre + 0.5) * (1 / stretch));
    for (int t = 0; t < end - begin; ++t) {
      const double share = sum == 0 ? w[t] : w[t] / sum;
      const auto fixed = static_cast<std::int32_t>(std::round(share * (1 << fraction_bits)));
      const std::int32_t high = (fixed + (1 << (low_bits - 1))) >> low_bits;
      const std::size_t at = static_cast<std::size_t>(i) * taps.padded + t;
      taps.high[at] = static_cast<std::int16_t>(high);
      taps.low[at] = static_cast<std::int16_t>(fixed - high * (1 << low_bits));
    }
    taps.first[i] = begin;
  }
  return taps;
}

// One line of pixels (0 to 255, in 16 bits, readable for `padded` elements past its end) to one line of the output.
void filter_line(const std::int16_t* __restrict line, const Taps& table, std::int16_t* __restrict out,
                 std::int64_t out_stride) {
  const int outputs = static_cast<int>(table.first.size());
  const int padded = table.padded;
  for (int i = 0; i < outputs; ++i) {
    const std::int16_t* x = line + table.first[i];
    const std::int16_t* high = table.high.data() + static_cast<std::size_t>(i) * padded;
    const std::int16_t* low = table.low.data() + static_cast<std::size_t>(i) * padded;
    std::int64_t sum = std::int64_t{1} << (fraction_bits - 1);
    for (int begin = 0; begin < padded; begin += longest_chunk) {
      const int end = std::min(padded, begin + longest_chunk);
      std::int32_t sum_high = 0, sum_low = 0;
      const int taps = (end - begin) / block * block;  // nothing is lost: it tells the compiler that blocks are whole
      for (int t = 0; t < taps; ++t) {
        sum_high += std::int32_t{x[begin + t]} * high[begin + t];
        sum_low += std::int32_t{x[begin + t]} * low[begin + t];
      }
      sum += std::int64_t{sum_high} * (1 << low_bits) + sum_low;
    }
    out[i * out_stride] = static_cast<std::int16_t>(std::clamp<std::int64_t>(sum >> fraction_bits, 0, 255));
  }
}

}  // namespace

// First along rows, then along columns; between them the picture lies on its side, rounded to 8 bits, so that both are
// the same loop over lines: middle[c][x][y].
Image resize_antialiased(const ImageView& image, int width, int height, Filter filter, int threads) {
  check(image);
  if (width < 1 || height < 1)
    throw Error(ErrorKind::image, "cannot resize a picture to " + std::to_string(width) + "x" + std::to_string(height) +
                                      ": both sizes must be at least 1");
  Image out(width, height);
  if (width == image.width && height == image.height) {
    for (int y = 0; y < height; ++y) std::copy_n(image.row(y), std::int64_t{3} * width, out.row(y));
    return out;
  }
  try {
    const Taps across = make_taps(image.width, width, filter);
    const Taps down = make_taps(image.height, height, filter);

    // Columns lie an odd number of cache lines apart, so that they do not share sets.
    const std::int64_t column = ((image.height + down.padded + 31) / 32 | 1) * std::int64_t{32};
    std::vector<std::int16_t> middle(static_cast<std::size_t>(column) * width * 3, 0);
    in_parallel(image.height, 3.0 * image.height * width * across.padded, threads,
                [&](std::int64_t begin, std::int64_t end) {
                  std::vector<std::int16_t> line(static_cast<std::size_t>(image.width) + across.padded, 0);
                  for (std::int64_t y = begin; y < end; ++y) {
                    const std::uint8_t* row = image.row(static_cast<int>(y));
                    for (int c = 0; c < 3; ++c) {
                      for (std::int64_t x = 0; x < image.width; ++x) line[x] = row[3 * x + c];
                      filter_line(line.data(), across, middle.data() + column * width * c + y, column);
                    }
                  }
                });
    in_parallel(width, 3.0 * width * height * down.padded, threads, [&](std::int64_t begin, std::int64_t end) {
      std::vector<std::int16_t> line(static_cast<std::size_t>(height));
      for (std::int64_t x = begin; x < end; ++x)
        for (int c = 0; c < 3; ++c) {
          filter_line(middle.data() + column * (width * std::int64_t{c} + x), down, line.data(), 1);
          for (int y = 0; y < height; ++y) out.row(y)[3 * x + c] = static_cast<std::uint8_t>(line[y]);
        }
    });
  } catch (const std::bad_alloc&) {
    throw Error(ErrorKind::memory, "no memory to resize a picture from " + std::to_string(image.width) + "x" +
                                       std::to_string(image.height) + " to " + std::to_string(width) + "x" +
                                       std::to_string(height));
  }
  return out;
}

Image centre_crop(const ImageView& image, int width, int height) {
  check(image);
  if (width < 1 || height < 1 || width > image.width || height > image.height)
    throw Error(ErrorKind::image, "cannot cut " + std::to_string(width) + "x" + std::to_string(height) +
                                      " pixels from the centre of a picture of " + std::to_string(image.width) + "x" +
                                      std::to_string(image.height));
  Image out(width, height);
  const int left = (image.width - width) / 2, top = (image.height - height) / 2;
  for (int y = 0; y < height; ++y)
    std::copy_n(image.row(top + y) + std::int64_t{3} * left, std::int64_t{3} * width, out.row(y));
  return out;
}

namespace {

// Where each output falls between two inputs: x = (1 - part) in[low] + part in[high].
struct Between {
  std::vector<int> low, high;
  std::vector<float> part;
};

Between between(int in, int out, double origin, double extent) {
  Between b;
  b.low.resize(static_cast<std::size_t>(out)), b.high.resize(b.low.size()), b.part.resize(b.low.size());
  for (int i = 0; i < out; ++i) {
    const double at = std::clamp((i + 0.5 - origin) * in / extent - 0.5, 0.0, in - 1.0);
    b.low[i] = static_cast<int>(at);
    b.high[i] = std::min(b.low[i] + 1, in - 1);
    b.part[i] = static_cast<float>(at - b.low[i]);
  }
  return b;
}

}  // namespace

std::vector<float> resize_bilinear(const MapView& map, int width, int height, int threads) {
  return resize_bilinear(map, width, height, {0, 0, static_cast<double>(width), static_cast<double>(height)}, threads);
}

std::vector<float> resize_bilinear(const MapView& map, int width, int height, const Window& window, int threads) {
  if (!map.data || map.width < 1 || map.height < 1 || width < 1 || height < 1 || !(window.width > 0) ||
      !(window.height > 0))
    throw Error(ErrorKind::shape, "cannot resize a map of " + std::to_string(map.width) + "x" +
                                      std::to_string(map.height) + " to " + std::to_string(width) + "x" +
                                      std::to_string(height) + ": all sizes must be at least 1");
  const Between across = between(map.width, width, window.left, window.width);
  const Between down = between(map.height, height, window.top, window.height);
  std::vector<float> out(static_cast<std::size_t>(width) * height);
  in_parallel(height, 4.0 * width * height, threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> blend(static_cast<std::size_t>(map.width));
    for (std::int64_t y = begin; y < end; ++y) {
      const float part = down.part[y];
      for (int x = 0; x < map.width; ++x) {
        const float above = map.at(x, down.low[y]), below = map.at(x, down.high[y]);
        blend[x] = above + part * (below - above);
      }
      float* row = out.data() + static_cast<std::int64_t>(width) * y;
      for (int x = 0; x < width; ++x) {
        const float left = blend[across.low[x]], right = blend[across.high[x]];
        row[x] = left + across.part[x] * (right - left);
      }
    }
  });
  return out;
}

}  // namespace fathom
