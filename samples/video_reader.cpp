#include <algorithm>
#include <cctype>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/videoio.hpp>
#include <set>
#include <vector>

#include "fathom/error.hpp"
#include "samples/complaints.hpp"
#include "samples/picture.hpp"
#include "samples/video.hpp"
#include "samples/video_header.hpp"

namespace fathom {
namespace {

namespace fs = std::filesystem;

bool is_picture_name(const fs::path& path) {
  static const std::set<std::string> endings = {".bmp", ".dib", ".exr", ".hdr", ".jp2", ".jpe", ".jpeg", ".jpg",
                                                ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"};
  std::string ending = path.extension().string();
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return endings.contains(ending);
}

// By letters, and runs of digits by value: "a2" before "a10".
bool before(const std::string& a, const std::string& b) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (!digit(a[i]) || !digit(b[j])) {
      if (a[i] != b[j]) return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[j]);
      ++i, ++j;
      continue;
    }
    while (i + 1 < a.size() && a[i] == '0' && digit(a[i + 1])) ++i;
    while (j + 1 < b.size() && b[j] == '0' && digit(b[j + 1])) ++j;
    std::size_t m = i, n = j;
    while (m < a.size() && digit(a[m])) ++m;
    while (n < b.size() && digit(b[n])) ++n;
    if (m - i != n - j) return m - i < n - j;
    if (const int order = a.compare(i, m - i, b, j, n - j)) return order < 0;
    i = m, j = n;
  }
  if (i == a.size() && j == b.size()) return a < b;  // "a01" and "a1": some order, always the same
  return i == a.size();
}

std::string size_text(const Image& image) { return std::to_string(image.width) + "x" + std::to_string(image.height); }

class Folder : public FrameReader {
 public:
  explicit Folder(const fs::path& path) {
    name = path.string();
    std::error_code error;
    for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error))
      if (is_picture_name(entry->path()) && !entry->path().filename().string().starts_with("."))
        pictures_.push_back(entry->path());
    if (error) throw Error(ErrorKind::file, "cannot read the folder " + name + ": " + error.message());
    if (pictures_.empty())
      throw Error(ErrorKind::file, "the folder " + name + " holds no pictures (.png, .jpg, .tif, .webp and the like)");
    std::sort(pictures_.begin(), pictures_.end(), [](const fs::path& a, const fs::path& b) {
      return before(a.filename().string(), b.filename().string());
    });
    std::set<std::string> stems;
    for (const fs::path& picture : pictures_) one_stem_ &= stems.insert(picture.stem().string()).second;
    announced = static_cast<std::int64_t>(pictures_.size());
  }

  bool next(VideoFrame& frame) override {
    if (at_ == pictures_.size()) return false;
    const fs::path& picture = pictures_[at_];
    frame.photo = read_picture(picture);
    if (at_ == 0) first_size_ = size_text(frame.photo);
    if (size_text(frame.photo) != first_size_)
      throw Error(ErrorKind::image, picture.string() + " is " + size_text(frame.photo) + " pixels large, " +
                                        pictures_[0].filename().string() + " before it " + first_size_ +
                                        ": the frames of a video are all of one size");
    // a.jpg and a.png in one folder become a.jpg.* and a.png.*
    frame.name = (one_stem_ ? picture.stem() : picture.filename()).string();
    frame.seconds = static_cast<double>(at_++) / fps;
    return true;
  }

 private:
  std::vector<fs::path> pictures_;
  std::size_t at_ = 0;
  std::string first_size_;
  bool one_stem_ = true;
};

// OpenCV's order and any row distance to ours: r, g, b <- b, g, r.
Image to_image(const cv::Mat& in, const std::string& name) {
  const int channels = in.channels();
  if (in.depth() != CV_8U || (channels != 3 && channels != 1))
    throw Error(ErrorKind::image, name + " has frames of " + std::to_string(channels) + " channels of type " +
                                      cv::typeToString(in.type()) + ": 8-bit colour is needed");
  Image out(in.cols, in.rows);
  for (int y = 0; y < out.height; ++y) {
    const std::uint8_t* from = in.ptr<std::uint8_t>(y);
    std::uint8_t* to = out.row(y);
    for (std::int64_t x = 0; x < out.width; ++x)
      for (int c = 0; c < 3; ++c) to[3 * x + c] = channels == 3 ? from[3 * x + 2 - c] : from[x];
  }
  return out;
}

// Libraries below OpenCV tell their developers things on stderr, from threads of their own.
void be_quiet() {
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  setenv("OPENCV_FFMPEG_LOGLEVEL", "-8", 0);  // unless the user wants to hear them
}

class Capture : public FrameReader {
 public:
  explicit Capture(const fs::path& path) : path_(path) {
    name = path.string();
    if (!open([&] { return capture_.open(path.string()); })) {
      if (is_cut_off(path))
        throw Error(ErrorKind::image, name + " is cut off: what tells where its frames are is missing");
      throw Error(ErrorKind::image, name + " is no video, or of a format that OpenCV does not read here");
    }
    if (const double count = capture_.get(cv::CAP_PROP_FRAME_COUNT); count >= 1 && count < 1e9)
      announced = std::llround(count);
    if (const double rate = capture_.get(cv::CAP_PROP_FPS); rate > 0.01 && rate <= 1000) fps = rate;
  }
  explicit Capture(int camera) {
    name = "camera " + std::to_string(camera);
    live = true;
    if (!open([&] { return capture_.open(camera); }))
      throw Error(ErrorKind::file,
                  "there is no " + name + ", or it is in use (ls /dev/video* shows the cameras that there are)");
    const double rate = capture_.get(cv::CAP_PROP_FPS);
    fps = rate >= 1 && rate <= 240 ? rate : 30;
  }

  bool next(VideoFrame& frame) override {
    bool got = false;
    try {
      got = capture_.read(pixels_) && !pixels_.empty();
    } catch (const cv::Exception&) {  // as good as an end
    }
    const auto now = std::chrono::steady_clock::now();
    if (!got) return ended();
    if (at_ == 0) began_ = now;
    char number[32];
    std::snprintf(number, sizeof number, "%06lld", static_cast<long long>(at_));
    frame.name = number;
    frame.photo = to_image(pixels_, name);
    if (at_ == 0) first_size_ = size_text(frame.photo);
    if (size_text(frame.photo) != first_size_)
      throw Error(ErrorKind::image, "frame " + std::to_string(at_) + " of " + name + " is " + size_text(frame.photo) +
                                        " pixels large, those before it " + first_size_ +
                                        ": the frames of a video are all of one size");
    frame.seconds = live ? std::chrono::duration<double>(now - began_).count() : static_cast<double>(at_) / fps;
    ++at_;
    return true;
  }

 private:
  template <class Open>
  bool open(Open&& open) {
    be_quiet();
    const Complaints complaints;
    try {
      return open() && capture_.isOpened();
    } catch (const cv::Exception&) {
      return false;
    }
  }
  bool ended() const {
    if (at_ == 0) throw Error(ErrorKind::image, name + " gives no frames");
    return false;
  }

  fs::path path_;
  cv::VideoCapture capture_;
  cv::Mat pixels_;  // used again for every frame
  std::int64_t at_ = 0;
  std::string first_size_;
  std::chrono::steady_clock::time_point began_;
};

}  // namespace

std::unique_ptr<FrameReader> open_frames(const std::string& input) {
  std::error_code ignored;
  const fs::file_status status = fs::status(input, ignored);
  if (input.empty()) throw Error(ErrorKind::file, "the name of the video is empty");
  if (fs::is_directory(status)) return std::make_unique<Folder>(input);
  if (!fs::exists(status)) {
    const bool a_number =
        input.size() <= 4 && std::all_of(input.begin(), input.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (a_number) return std::make_unique<Capture>(std::atoi(input.c_str()));
    throw Error(ErrorKind::file, input + ": no such video, folder or camera");
  }
  if (is_picture_name(input))
    throw Error(ErrorKind::usage, input + " is one picture: that is for depth_from_image, or give the folder it is in");
  if (fs::is_regular_file(status) && fs::file_size(input, ignored) == 0)
    throw Error(ErrorKind::image, input + " is empty, not a video");
  return std::make_unique<Capture>(fs::path(input));
}

}  // namespace fathom
