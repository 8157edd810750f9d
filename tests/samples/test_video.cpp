// depth_from_video as users run it, on videos made here.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <opencv2/core.hpp>
#include <opencv2/videoio.hpp>
#include <thread>
#include <vector>

#include "samples/depth_picture.hpp"
#include "samples/files.hpp"
#include "samples/pfm.hpp"
#include "samples/picture.hpp"
#include "tests/catch.hpp"
#include "tests/folder.hpp"

using namespace fathom;
namespace fs = std::filesystem;

namespace {

constexpr int width = 64, height = 48;

struct Result {
  int status = -1;
  std::string text;  // stdout and stderr

  int lines() const { return static_cast<int>(std::count(text.begin(), text.end(), '\n')); }
};

// In `folder`, with a small network unless another --model is given; `meanwhile` has the process while it runs.
Result run(
    const Folder& folder, std::vector<std::string> arguments, const std::function<void()>& in_child = [] {},
    const std::function<void(pid_t)>& meanwhile = [](pid_t) {}) {
  const std::string program = FATHOM_BINARY_DIR "/samples/depth_from_video";
  arguments.insert(arguments.begin(), program);
  for (const char* more : {"--model", "mobile_baseline_1", "--size", "160x128", "--device", "cpu", "--threads", "1"})
    arguments.push_back(more);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const std::string said = folder / "said.txt";
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const int out = open(said.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (chdir(folder.path.c_str()) != 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) _exit(99);
    in_child();
    execv(argv[0], argv.data());
    _exit(98);
  }
  meanwhile(child);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  std::ifstream file(said);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), {std::istreambuf_iterator<char>(file), {}}};
}

// Colours that rise to the right and downwards, moved by a few pixels a frame.
cv::Mat scene(int frame, int w = width, int h = height) {
  cv::Mat pixels(h, w, CV_8UC3);
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x)
      pixels.at<cv::Vec3b>(y, x) = {static_cast<std::uint8_t>((x + 3 * frame) * 4 % 256),
                                    static_cast<std::uint8_t>(255 * y / h), 90};
  return pixels;
}

void make_video(const fs::path& path, int frames, bool moves, const char* codec = "MJPG") {
  cv::VideoWriter writer;
  REQUIRE(
      writer.open(path.string(), cv::VideoWriter::fourcc(codec[0], codec[1], codec[2], codec[3]), 10, {width, height}));
  for (int i = 0; i < frames; ++i) writer.write(scene(moves ? i : 0));
}

std::vector<cv::Mat> frames_of(const fs::path& path) {
  cv::VideoCapture capture(path.string());
  std::vector<cv::Mat> frames;
  for (cv::Mat pixels; capture.read(pixels);) frames.push_back(pixels.clone());
  return frames;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

void cut(const fs::path& from, const fs::path& to, double share) {
  const std::vector<std::uint8_t> bytes = read_file(from);
  put(to, std::span(bytes).first(static_cast<std::size_t>(share * static_cast<double>(bytes.size()))));
}

}  // namespace

TEST_CASE("a video becomes a depth video, and every frame the files that are asked for", "[samples]") {
  const Folder folder("video");
  make_video(folder / "in.avi", 9, true);
  const Result result = run(folder, {"in.avi", "-o", "out.avi", "--side-by-side", "--pictures", "p/q", "--raw", "raw",
                                     "--raw16", "raw16", "--colormap", "viridis", "--range", "0.5:8"});
  INFO(result.text);
  REQUIRE(result.status == 0);
  for (const char* part :
       {"out.avi: 128x48, 9 frames, depth in metres", "frames/s over all", "frames/s inference alone",
        "raw: 9 files, depth in metres", "raw16: 9 pictures, depth in m = value / 1000"})
    CHECK(result.text.find(part) != std::string::npos);

  const std::vector<cv::Mat> in = frames_of(folder / "in.avi"), out = frames_of(folder / "out.avi");
  REQUIRE((in.size() == 9 && out.size() == 9));
  CHECK((out[0].cols == 2 * width && out[0].rows == height));
  CHECK(cv::VideoCapture((folder / "out.avi").string()).get(cv::CAP_PROP_FPS) == Approx(10));
  REQUIRE((names_in(folder / "p/q").size() == 9 && names_in(folder / "raw").size() == 9));
  REQUIRE(names_in(folder / "raw16").back() == "000008.png");

  for (int i = 0; i < 9; ++i) {
    const std::string name = "00000" + std::to_string(i);
    const FloatMap depth = read_pfm(folder / ("raw/" + name + ".pfm"));
    REQUIRE((depth.width == width && depth.height == height));
    // The picture is the photograph and the colours of these very values, in the range that was given.
    const Image picture = read_picture(folder / ("p/q/" + name + ".png"));
    const Image colours =
        depth_picture({width, height, depth.values, "m"}, colormap("viridis"), DisplayRange{1 / 8.0f, 1 / 0.5f});
    REQUIRE((picture.width == 2 * width && picture.height == height));
    const Plane16 plane = read_plane16(folder / ("raw16/" + name + ".png"));
    int wrong = 0;
    double video_off = 0;
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        const std::uint8_t *photo = picture.row(y) + 3 * x, *depths = photo + 3 * width;
        const cv::Vec3b seen = in[i].at<cv::Vec3b>(y, x), shown = out[i].at<cv::Vec3b>(y, x + width);
        for (int c = 0; c < 3; ++c) {
          wrong += photo[c] != seen[2 - c] || depths[c] != colours.row(y)[3 * x + c];
          video_off += std::abs(shown[2 - c] - depths[c]);
        }
        wrong += std::abs(plane.values[width * y + x] - 1000 * depth.at(x, y)) > 0.51;
      }
    INFO("frame " << i);
    CHECK(wrong == 0);
    CHECK(video_off / (3 * width * height) < 6);  // of 255: what Motion JPEG loses
  }
}

TEST_CASE("a scene that stays keeps its colours", "[samples]") {
  const Folder folder("video_still");
  make_video(folder / "in.avi", 6, false);
  const Result result = run(folder, {"in.avi", "-o", "out.avi", "--pictures", "p", "--fps", "30"});
  INFO(result.text);
  REQUIRE(result.status == 0);
  const Image first = read_picture(folder / "p/000000.png");
  CHECK(*std::max_element(first.rgb.begin(), first.rgb.end()) > 100);
  for (int i = 1; i < 6; ++i) CHECK(read_picture(folder / ("p/00000" + std::to_string(i) + ".png")) == first);
  const std::vector<cv::Mat> out = frames_of(folder / "out.avi");
  REQUIRE(out.size() == 6);
  for (const cv::Mat& frame : out) CHECK(cv::norm(frame, out[0], cv::NORM_INF) == 0);
  CHECK(cv::VideoCapture((folder / "out.avi").string()).get(cv::CAP_PROP_FPS) == Approx(30));

  // Nothing named: a video in the default place; --count ends it early.
  const Result plain = run(folder, {"in.avi", "--count", "3"});
  INFO(plain.text);
  REQUIRE(plain.status == 0);
  CHECK(frames_of(folder / "depth.mp4").size() == 3);
  // Files alone: no video.
  fs::remove(folder / "depth.mp4");
  CHECK(run(folder, {"in.avi", "--count", "1", "--raw", "raw"}).status == 0);
  CHECK((names_in(folder / "raw").size() == 1 && !fs::exists(folder / "depth.mp4")));
}

TEST_CASE("a folder of pictures is a video, in the order of their names", "[samples]") {
  const Folder folder("video_folder");
  fs::create_directories(folder / "in");
  const auto one_colour = [](int w, int h, int channel) {
    Image image(w, h);
    for (std::size_t i = static_cast<std::size_t>(channel); i < image.rgb.size(); i += 3) image.rgb[i] = 200;
    return image;
  };
  // An odd size: video leaves out the last row and column.
  write_png(folder / "in/a10.png", one_colour(33, 25, 2));
  write_png(folder / "in/a2.PNG", one_colour(33, 25, 1));
  write_png(folder / "in/a01.png", one_colour(33, 25, 0));
  write_png(folder / "in/.hidden.png", one_colour(40, 25, 0));
  put(folder / "in/notes.txt", "no picture");
  const Result result = run(folder, {"in", "-o", "out.avi", "--side-by-side", "--raw", "raw"});
  INFO(result.text);
  REQUIRE(result.status == 0);
  CHECK(names_in(folder / "raw") == std::vector<std::string>{"a01.pfm", "a10.pfm", "a2.pfm"});
  const std::vector<cv::Mat> out = frames_of(folder / "out.avi");
  REQUIRE((out.size() == 3 && out[0].cols == 66 && out[0].rows == 24));
  for (int i = 0; i < 3; ++i) {
    const cv::Vec3b left = out[i].at<cv::Vec3b>(8, 8);
    CHECK(left[2 - i] > 150);
    CHECK(left[2 - (i + 1) % 3] < 80);
  }

  write_png(folder / "in/a11.png", one_colour(34, 25, 0));
  const Result odd = run(folder, {"in", "-o", "odd.avi"});
  INFO(odd.text);
  CHECK((odd.status == 1 && odd.lines() == 1));
  for (const char* part : {"a11.png", "34x25", "33x25"}) CHECK(odd.text.find(part) != std::string::npos);
  put(folder / "in/a11.png", "no picture either");
  const Result broken = run(folder, {"in", "-o", "odd.avi"});
  CHECK((broken.status == 1 && broken.lines() == 1 && broken.text.find("a11.png") != std::string::npos));
  // What could not be finished is not there, under any name.
  CHECK(names_in(folder.path) == std::vector<std::string>{"in", "out.avi", "raw", "said.txt"});
}

TEST_CASE("what is no video, or no place for one, is told in one sentence", "[samples]") {
  const Folder folder("video_bad");
  make_video(folder / "in.avi", 3, true);
  make_video(folder / "none.avi", 0, true);
  put(folder / "noise.avi", std::string(5000, 'x'));
  put(folder / "noise2.mp4", std::string("\0\0\0\x10"
                                         "ftypisom....",
                                         16) +
                                 std::string(5000, 'x'));
  put(folder / "empty.avi", "");
  write_png(folder / "one.png", Image(4, 4));
  fs::create_directories(folder / "hollow");
  const auto refused = [&](std::vector<std::string> arguments, std::vector<std::string> says, int status = 1) {
    const Result result = run(folder, arguments);
    INFO(arguments[0] << ": " << result.text);
    CHECK(result.status == status);
    CHECK(result.lines() == 1);
    for (const std::string& part : says) CHECK(result.text.find(part) != std::string::npos);
  };
  refused({"missing.avi"}, {"missing.avi", "no such"});
  refused({"none.avi"}, {"none.avi", "no"});
  refused({"noise.avi"}, {"noise.avi", "no video"});
  refused({"noise2.mp4"}, {"noise2.mp4"});
  refused({"empty.avi"}, {"empty.avi", "empty"});
  refused({"hollow"}, {"hollow", "no pictures"});
  refused({"one.png"}, {"one.png", "depth_from_image"});
  refused({"97"}, {"camera 97"});
  refused({""}, {"empty"});
  refused({"in.avi", "-o", "out.gif"}, {"out.gif", ".mp4", ".avi"});
  refused({"in.avi", "-o", "out"}, {"out", ".mp4"});
  refused({"in.avi", "-o", "nowhere/out.mp4"}, {"nowhere"});
  refused({"in.avi", "-o", "./in.avi"}, {"in.avi", "another name"});
  refused({"in.avi", "--raw", "one.png"}, {"one.png", "folder"});
  refused({"in.avi", "--raw16", "p", "--pictures", "./p"}, {"--raw16", "two folders"});
  fs::create_directories(folder / "pictures");
  write_png(folder / "pictures/a.png", Image(8, 8));
  refused({"pictures", "--pictures", "pictures/../pictures"}, {"pictures", "another"});
  refused({"in.avi", "--colormap", "mauve"}, {"mauve", "magma"});
  for (const char* range : {"2:1", "1:x"}) refused({"in.avi", "--range", range}, {"LOW:HIGH", range}, 2);
  refused({"in.avi", "--fps", "0"}, {"--fps"}, 2);
  refused({"in.avi", "--count", "0"}, {"--count"}, 2);
  CHECK(!fs::exists(folder / "depth.mp4"));
  CHECK(fs::file_size(folder / "in.avi") > 1000);
}

TEST_CASE("of a video that is cut off, what there is becomes a whole video and the rest is told", "[samples]") {
  const Folder folder("video_cut");
  make_video(folder / "whole.avi", 40, true);
  cut(folder / "whole.avi", folder / "cut.avi", 0.6);
  const Result result = run(folder, {"cut.avi", "-o", "out.avi"});
  INFO(result.text);
  CHECK(result.status == 1);
  CHECK(result.text.find("cut.avi is cut off") != std::string::npos);
  CHECK(result.text.find("of 40 frames") != std::string::npos);
  const std::size_t frames = frames_of(folder / "out.avi").size();
  CHECK((frames >= 20 && frames <= 28));
  // An MP4 has at its end what tells where the frames are.
  make_video(folder / "whole.mp4", 20, true, "mp4v");
  cut(folder / "whole.mp4", folder / "cut.mp4", 0.6);
  const Result lost = run(folder, {"cut.mp4", "-o", "lost.avi"});
  CHECK((lost.status == 1 && lost.lines() == 1 && lost.text.find("cut.mp4 is cut off") != std::string::npos));
  CHECK(!fs::exists(folder / "lost.avi"));
}

TEST_CASE("an interrupt ends the video, which is whole", "[samples]") {
  const Folder folder("video_interrupt");
  make_video(folder / "in.avi", 3000, true);
  const Result result = run(
      folder, {"in.avi", "-o", "out.avi", "--pictures", "p", "--count", "2900"}, [] {},
      [&](pid_t child) {
        for (int i = 0; i < 2000 && !fs::exists(folder / "p/000004.png"); ++i)
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
        kill(child, SIGINT);
      });
  INFO(result.text);
  CHECK(result.status == 1);
  CHECK(result.text.find("interrupted") != std::string::npos);
  CHECK(result.text.find("of 2900 frames") != std::string::npos);
  const std::size_t pictures = names_in(folder / "p").size();
  CHECK((pictures >= 5 && pictures < 3000));
  CHECK(frames_of(folder / "out.avi").size() == pictures);
}

TEST_CASE("a video that does not fit on the disk is an error, and leaves nothing", "[samples]") {
  const Folder folder("video_full");
  make_video(folder / "in.avi", 30, true);
  for (const char* out : {"out.avi", "out.mp4", "out.mkv"}) {
    const Result result = run(folder, {"in.avi", "-o", out}, [] {
      signal(SIGXFSZ, SIG_IGN);
      const rlimit limit = {2000, 2000};
      setrlimit(RLIMIT_FSIZE, &limit);
    });
    INFO(out << ": " << result.text);
    CHECK(result.status == 1);
    CHECK(result.text.find(std::string("cannot write ") + out) != std::string::npos);
  }
  CHECK(names_in(folder.path) == std::vector<std::string>{"in.avi", "said.txt"});
}
