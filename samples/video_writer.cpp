#include <unistd.h>

#include <cctype>
#include <cstring>
#include <map>
#include <opencv2/core.hpp>
#include <opencv2/videoio.hpp>
#include <vector>

#include "fathom/error.hpp"
#include "samples/complaints.hpp"
#include "samples/video.hpp"
#include "samples/video_header.hpp"

namespace fathom {
namespace {

namespace fs = std::filesystem;

int code(const char* name) { return cv::VideoWriter::fourcc(name[0], name[1], name[2], name[3]); }

// Codecs for a file's ending, the better first.
std::vector<const char*> codecs(const fs::path& path) {
  std::string ending = path.extension().string();
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (ending == ".avi") return {"MJPG"};
  if (ending == ".mp4" || ending == ".mkv") return {"avc1", "mp4v"};
  throw Error(ErrorKind::usage, "cannot write " + path.string() + ": videos are written as .mp4, .mkv or .avi");
}

}  // namespace

struct VideoFile::Impl {
  fs::path path, beside;
  cv::Mat pixels;  // used again for every frame
  cv::VideoWriter writer;
  std::int64_t frames = 0;
  bool finished = false;

  Error failure(const std::string& why) const {
    return Error(ErrorKind::file, "cannot write " + path.string() + ": " + why);
  }
};

VideoFile::VideoFile(const fs::path& path, double fps, int width, int height) : impl_(std::make_unique<Impl>()) {
  Impl& file = *impl_;
  file.path = path;
  const cv::Size size(width & ~1, height & ~1);
  if (size.width < 2 || size.height < 2) throw file.failure("a video has at least 2x2 pixels");
  // A link stays a link: what it points to is replaced.
  std::error_code ignored;
  const fs::path target =
      fs::is_symlink(fs::symlink_status(path, ignored)) ? fs::weakly_canonical(path, ignored) : path;
  file.beside = target;
  file.beside.replace_filename(target.stem().string() + ".part" + std::to_string(getpid()) +
                               target.extension().string());
  file.pixels.create(size, CV_8UC3);
  const Complaints complaints;
  for (const char* codec : codecs(path)) {
    try {
      if (file.writer.open(file.beside.string(), code(codec), fps, size)) return;
    } catch (const cv::Exception&) {
    }
    fs::remove(file.beside, ignored);
  }
  throw file.failure(
      "is its folder writable? Or else OpenCV cannot encode such a video here: try a name that ends in .avi");
}

VideoFile::~VideoFile() {
  if (impl_->finished) return;
  impl_->writer.release();
  std::error_code ignored;
  fs::remove(impl_->beside, ignored);
}

void VideoFile::write(std::initializer_list<ImageView> pictures) {
  cv::Mat& pixels = impl_->pixels;
  for (int y = 0; y < pixels.rows; ++y) {
    std::uint8_t* to = pixels.ptr<std::uint8_t>(y);
    std::uint8_t* const end = to + std::int64_t{3} * pixels.cols;
    for (const ImageView& picture : pictures) {
      const std::uint8_t* from = picture.row(y);
      for (int x = 0; x < picture.width && to < end; ++x, from += 3, to += 3)
        to[0] = from[2], to[1] = from[1], to[2] = from[0];
    }
  }
  write_again();
}

void VideoFile::write_again() {
  try {
    impl_->writer.write(impl_->pixels);
  } catch (const cv::Exception&) {
    throw impl_->failure("OpenCV could not encode frame " + std::to_string(impl_->frames));
  }
  ++impl_->frames;
}

void VideoFile::finish() {
  Impl& file = *impl_;
  file.writer.release();
  // OpenCV does not tell when the disk is full.
  const auto readable = [&] {
    const Complaints complaints;
    cv::VideoCapture again;
    try {
      return !is_cut_off(file.beside) && again.open(file.beside.string()) && again.grab();
    } catch (const cv::Exception&) {
      return false;
    }
  };
  if (!readable()) throw file.failure("what was written cannot be read back; is the disk full?");
  std::error_code error;
  fs::rename(file.beside, fs::is_symlink(fs::symlink_status(file.path)) ? fs::weakly_canonical(file.path) : file.path,
             error);
  if (error) throw file.failure(error.message());
  file.finished = true;
}

}  // namespace fathom
