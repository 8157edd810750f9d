// conv MUTATION [speed]: the sample convolution at uneven shapes against a plain loop. Exit status as in bugs_main.cpp.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "tests/emulator/emu.hpp"
#include "tests/emulator/selftest/conv3x3.hpp"

namespace fathom::selftest {
namespace {

struct Shape {
  int images, height, width, in_channels, out_channels;
};
// Borders everywhere, rows and channels that fill no tile, k that ends inside one, several blocks each way.
constexpr Shape kShapes[] = {{1, 7, 9, 40, 24}, {2, 5, 3, 8, 8}, {1, 1, 1, 16, 72}, {3, 17, 1, 24, 136}};

class Numbers {  // small multiples of 1/64, exact in fp16
 public:
  float next() {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<float>(static_cast<int>(state_ >> 16) % 128 - 64) / 64;
  }

 private:
  unsigned state_ = 12345;
};

template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(const std::vector<T>& host) {
    void* p = nullptr;
    cudaMalloc(&p, host.size() * sizeof(T));
    cudaMemcpy(p, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice);
    data_ = static_cast<T*>(p);
  }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  T* get() const { return data_; }

 private:
  T* data_ = nullptr;
};

std::size_t count(int a, int b, int c = 1, int d = 1) { return static_cast<std::size_t>(a) * b * c * d; }

std::vector<float> plain_conv(const Shape& s, const std::vector<float>& x, const std::vector<float>& w,
                              const std::vector<float>& bias) {
  std::vector<float> y;
  for (int row = 0; row < s.images * s.height * s.width; ++row) {
    std::vector<float> sums = bias;
    const int image = row / (s.height * s.width), h = row / s.width % s.height, q = row % s.width;
    for (int tap = 0; tap < 9; ++tap) {
      const int hh = h + tap / 3 - 1, ww = q + tap % 3 - 1;
      if (hh < 0 || hh >= s.height || ww < 0 || ww >= s.width) continue;
      for (int c = 0; c < s.in_channels; ++c) {
        const float v = x[count((image * s.height + hh) * s.width + ww, s.in_channels) + static_cast<std::size_t>(c)];
        const float* weights = &w[count(tap * s.in_channels + c, s.out_channels)];
        for (std::size_t o = 0; o < sums.size(); ++o) sums[o] += v * weights[o];
      }
    }
    for (float sum : sums) y.push_back(std::fmax(sum, 0.0f));
  }
  return y;
}

// The largest error, relative to 1 + |value|; NaN if there is one.
double worst_error(const Shape& s, Mutation mutation) {
  Numbers numbers;
  std::vector<float> x(count(s.images, s.height, s.width, s.in_channels)), w(count(9, s.in_channels, s.out_channels)),
      bias(static_cast<std::size_t>(s.out_channels));
  for (auto* values : {&x, &w, &bias}) {
    for (float& v : *values) v = numbers.next();
  }
  const auto halves = [](const std::vector<float>& v) { return std::vector<__half>(v.begin(), v.end()); };
  std::vector<__half> y(count(s.images, s.height, s.width, s.out_channels));
  std::memset(static_cast<void*>(y.data()), 0xFF, y.size() * sizeof(__half));  // NaN where nothing is stored
  const DeviceArray device_x(halves(x)), device_w(halves(w)), device_y(y);
  const DeviceArray device_bias(bias);
  conv3x3({device_x.get(), device_w.get(), device_bias.get(), device_y.get(), s.images, s.height, s.width,
           s.in_channels, s.out_channels},
          mutation, nullptr);
  cudaMemcpy(y.data(), device_y.get(), y.size() * sizeof(__half), cudaMemcpyDeviceToHost);
  const std::vector<float> wanted = plain_conv(s, x, w, bias);
  double worst = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double error = std::fabs(__half2float(y[i]) - wanted[i]) / (1 + std::fabs(wanted[i]));
    if (!(error <= worst)) worst = error;
    if (std::isnan(error)) break;
  }
  return worst;
}

int run(Mutation mutation) {
  for (const Shape& s : kShapes) {
    const double worst = worst_error(s, mutation);
    if (worst <= 1e-3) continue;
    std::printf("%dx%dx%dx%d -> %d: largest error %.1e\n", s.images, s.height, s.width, s.in_channels, s.out_channels,
                worst);
    return 1;
  }
  return 0;
}

void measure_speed() {
  const Shape shape{1, 32, 48, 64, 64};
  const auto before = emu::statistics();
  const auto start = std::chrono::steady_clock::now();
  const double worst = worst_error(shape, Mutation::none);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto after = emu::statistics();
  std::printf("32x48x64 -> 64, plain loop included: %.2f s, %llu switches, %llu warp operations, error %.1e\n", seconds,
              static_cast<unsigned long long>(after.switches - before.switches),
              static_cast<unsigned long long>(after.collectives - before.collectives), worst);
}

}  // namespace
}  // namespace fathom::selftest

int main(int argc, char** argv) {
  using namespace fathom::selftest;
  const std::string name = argc > 1 ? argv[1] : "none";
  if (name == "speed") return measure_speed(), 0;
  for (std::size_t i = 0; i < kMutations.size(); ++i) {
    if (name != kMutations[i]) continue;
    try {
      return run(static_cast<Mutation>(i));
    } catch (const fathom::emu::Error& error) {
      return std::printf("%s\n", error.what()), 2;
    }
  }
  return std::fprintf(stderr, "usage: conv MUTATION\n"), 3;
}
