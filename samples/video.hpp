// Many pictures, one after another: folders, video files and cameras in, video files out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <string>

#include "fathom/depth_map.hpp"
#include "fathom/image.hpp"

namespace fathom {

struct VideoFrame {
  Image photo;
  DepthMap depth;
  std::string name;    // for files made of it: the picture's own without its ending, or the frame's number "000017"
  double seconds = 0;  // since the first frame
};

class FrameReader {
 public:
  virtual ~FrameReader() = default;
  // False at the end. Throws Error that names the file, or the frame of it, that is no use.
  virtual bool next(VideoFrame& frame) = 0;

  std::string name;            // "clip.mp4", "camera 0"
  double fps = 25;             // frames a second
  std::int64_t announced = 0;  // how many frames there should be; 0: not known
  bool live = false;           // a camera: it does not wait, and `seconds` is the time of the picture
};

// A folder (its pictures in the order of their names, numbers in them by value: 2 before 10), a video file or the
// number of a camera. Throws Error{file} or Error{image}: nothing there, no pictures, no video, no such camera.
std::unique_ptr<FrameReader> open_frames(const std::string& input);

// A video file being written. Its ending says of what kind: .mp4 and .mkv hold H.264 (MPEG-4 where OpenCV cannot do
// it), .avi Motion JPEG. It stands beside its place under another name until finish(), and is gone if that never comes.
class VideoFile {
 public:
  // An odd last row or column is left out: video has even sizes. Throws Error{file}, Error{image}.
  VideoFile(const std::filesystem::path& path, double fps, int width, int height);
  ~VideoFile();
  VideoFile(const VideoFile&) = delete;
  VideoFile& operator=(const VideoFile&) = delete;

  // One frame, of pictures that stand beside each other.
  void write(std::initializer_list<ImageView> pictures);
  void write_again();  // the same once more
  void finish();       // throws Error{file} when what was written cannot be read back

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fathom
