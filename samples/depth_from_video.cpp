// depth_from_video: a video, a camera or a folder of pictures in, a depth video out.
//
//   reader -> decoded -> network -> estimated -> writer        three threads, a few frames between them
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#include "samples/depth_flags.hpp"
#include "samples/pace.hpp"
#include "samples/pfm.hpp"
#include "samples/picture.hpp"
#include "samples/stable_range.hpp"
#include "samples/stages.hpp"
#include "samples/video.hpp"
#include "samples/video_header.hpp"

namespace {

using namespace fathom;
namespace fs = std::filesystem;

struct Flags {
  DepthFlags depth;
  std::string input, out, pictures, raw, raw16;
  bool both = false;
  double fps = 0;
  std::int64_t count = 0;
};

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// Ctrl-C ends the input, not the program: what was estimated becomes a whole file. A second one ends the program.
std::atomic<bool> interrupted = false;
void watch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted = true; };
  action.sa_flags = SA_RESETHAND | SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

// The last stage: everything that is made of a frame and its depth.
class Writer {
 public:
  Writer(const Flags& flags, const FrameReader& reader)
      : flags_(flags),
        colours_(colormap(flags.depth.colours)),
        fixed_range_(parse_range(flags.depth.range)),
        live_(reader.live),
        fps_(flags.fps > 0 ? flags.fps : reader.fps),
        pace_(fps_) {}

  void write(const VideoFrame& frame) {
    const Image picture =
        depth_picture(frame.depth, colours_, fixed_range_ ? *fixed_range_ : range_.follow(frame.depth, step(frame)));
    if (frames == 0) begin(frame);
    if (video_) {
      const Pace::Turn turn = live_ ? pace_.next(frame.seconds) : Pace::Turn{0, true};
      for (std::int64_t i = 0; i < turn.again; ++i) video_->write_again();
      if (turn.shown) flags_.both ? video_->write({frame.photo, picture}) : video_->write({picture});
    }
    if (!flags_.pictures.empty())
      write_png(file(flags_.pictures, frame, ".png"), flags_.both ? side_by_side(frame.photo, picture) : picture);
    if (!flags_.raw.empty())
      write_pfm(file(flags_.raw, frame, ".pfm"), picture.width, picture.height, frame.depth.depth);
    if (!flags_.raw16.empty()) {
      const DepthPlane plane = depth_plane(frame.depth, per_unit_);
      write_png(file(flags_.raw16, frame, ".png"), plane.plane, plane.text);
      plane_text_ = plane.text;
      clipped_ += plane.clipped > 0;
    }
    ++frames;
  }

  void finish() {
    if (video_) video_->finish();
  }

  // What was written, one line each but the video's.
  std::string notes() const {
    std::string text;
    if (!flags_.pictures.empty()) text += flags_.pictures + ": " + many(frames, "picture") + "\n";
    if (!flags_.raw.empty()) text += flags_.raw + ": " + many(frames, "file") + ", " + unit_ + "\n";
    if (!flags_.raw16.empty())
      text += flags_.raw16 + ": " + many(frames, "picture") + ", " + plane_text_ +
              (clipped_ > 0 ? "; in " + std::to_string(clipped_) + " some pixels lie too far and are 65535" : "") +
              "\n";
    return text;
  }
  static std::string many(std::int64_t n, const std::string& what) {
    return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
  }

  std::int64_t frames = 0;
  std::string shape, unit_;

 private:
  double step(const VideoFrame& frame) {
    const double before = last_seconds_;
    last_seconds_ = frame.seconds;
    return frame.seconds - before;
  }

  void begin(const VideoFrame& frame) {
    const int width = frame.depth.width * (flags_.both ? 2 : 1);
    if (!flags_.out.empty()) video_.emplace(flags_.out, fps_, width, frame.depth.height);
    shape = cli::size_text(width, frame.depth.height);
    unit_ = what_values_are(frame.depth);
    // One scale for all frames. What is relative gets room for things twice as far as the farthest of the first frame.
    per_unit_ = depth_plane(frame.depth).values_per_unit / (frame.depth.unit == "m" ? 1 : 2);
  }

  static fs::path file(const std::string& folder, const VideoFrame& frame, const char* ending) {
    return fs::path(folder) / (frame.name + ending);
  }

  const Flags& flags_;
  const Colormap colours_;
  const std::optional<DisplayRange> fixed_range_;
  const bool live_;
  const double fps_;
  Pace pace_;
  StableRange range_;
  std::optional<VideoFile> video_;
  std::int64_t clipped_ = 0;  // frames with pixels beyond 16 bits
  double last_seconds_ = 0, per_unit_ = 0;
  std::string plane_text_;
};

// Folders to fill are made; none may be the one that is read, or hold two kinds of .png.
void check_outputs(const Flags& flags) {
  std::error_code ignored;
  if (!flags.out.empty())
    check_output(flags.out, {".mp4", ".mkv", ".avi"},
                 "the depth video (-o) is H.264 in .mp4 or .mkv, or Motion JPEG in .avi", true);
  if (!flags.out.empty() && fs::equivalent(flags.out, flags.input, ignored))
    throw Error(ErrorKind::usage, flags.out + " is the video that is read: give the depth video (-o) another name");
  for (const std::string& folder : {flags.pictures, flags.raw, flags.raw16}) {
    if (folder.empty()) continue;
    fs::create_directories(folder, ignored);
    if (!fs::is_directory(folder, ignored)) throw Error(ErrorKind::file, "cannot make the folder " + folder);
    if (fs::equivalent(folder, flags.input, ignored))
      throw Error(ErrorKind::usage, folder + " is the folder that is read: give what is written another");
  }
  if (!flags.pictures.empty() && !flags.raw16.empty() && fs::equivalent(flags.pictures, flags.raw16, ignored))
    throw Error(ErrorKind::usage, "--pictures and --raw16 both write .png files: give them two folders");
}

// [######--------------] 120/400, 24.9 frames/s, 11 s left
std::string progress_text(std::int64_t done, std::int64_t total, double seconds) {
  const double rate = static_cast<double>(done) / std::max(seconds, 1e-9);
  char text[128];
  if (total < 1) {
    std::snprintf(text, sizeof text, "%lld frames, %.1f frames/s", static_cast<long long>(done), rate);
    return text;
  }
  done = std::min(done, total);
  std::snprintf(text, sizeof text, " %lld/%lld, %.1f frames/s, %.0f s left", static_cast<long long>(done),
                static_cast<long long>(total), rate, static_cast<double>(total - done) / rate);
  return cli::bar(done, total) + text;
}

void work(Flags flags) {
  if (flags.out.empty() && flags.pictures.empty() && flags.raw.empty() && flags.raw16.empty()) flags.out = "depth.mp4";
  cli::Progress progress;
  progress.show("opening " + flags.input);
  const std::unique_ptr<FrameReader> reader = open_frames(flags.input);
  check_outputs(flags);
  if (flags.fps > 0 && !reader->live) reader->fps = flags.fps;
  const std::int64_t total = flags.count > 0 && reader->announced > 0 ? std::min(flags.count, reader->announced)
                                                                      : std::max(flags.count, reader->announced);
  Writer writer(flags, *reader);
  progress.show("loading " + flags.depth.model);
  const Engine engine = flags.depth.open();
  Session session = engine.session();
  session.prepare(engine.frame());

  watch_interrupts();
  const Clock::time_point began = Clock::now();
  double network_s = 0;
  bool read_to_the_end = false;
  Queue<VideoFrame> decoded(3), estimated(3);
  Stages stages(decoded, estimated);
  std::thread reading([&] {
    stages.run([&] {
      VideoFrame frame;
      // Of a camera's frames not all arrive: they are counted where they do.
      const bool counted = flags.count > 0 && !reader->live;
      for (std::int64_t n = 0; !interrupted && (!counted || n < flags.count); ++n) {
        if (!reader->next(frame)) {
          read_to_the_end = true;
          break;
        }
        if (!(reader->live ? decoded.push_newest(std::move(frame)) : decoded.push(std::move(frame)))) break;
      }
      decoded.close();
    });
  });
  std::thread writing([&] {
    stages.run([&] {
      Clock::time_point shown;
      while (const std::optional<VideoFrame> frame = estimated.pop()) {
        writer.write(*frame);
        if (seconds_since(shown) < 0.1) continue;
        shown = Clock::now();
        progress.show(progress_text(writer.frames, total, seconds_since(began)));
      }
    });
  });
  stages.run([&] {
    for (std::int64_t n = 0; flags.count == 0 || n < flags.count; ++n) {
      std::optional<VideoFrame> frame = decoded.pop();
      if (!frame) break;
      const Clock::time_point before = Clock::now();
      frame->depth = session.depth(frame->photo);
      network_s += seconds_since(before);
      if (!estimated.push(std::move(*frame))) break;
    }
    estimated.close();
    if (reader->live) decoded.abandon();
  });
  reading.join(), writing.join();
  stages.rethrow();
  if (writer.frames == 0) throw Error(ErrorKind::usage, "interrupted before the first frame: nothing is written");
  writer.finish();
  const double all_s = seconds_since(began);

  progress.show("");
  const auto frames = static_cast<double>(writer.frames);
  std::fprintf(stderr, "%s%s%s, %s, by %s on %s: %.1f frames/s over all, %.1f frames/s inference alone\n",
               writer.notes().c_str(), flags.out.empty() ? "" : (flags.out + ": " + writer.shape + ", ").c_str(),
               Writer::many(writer.frames, "frame").c_str(), writer.unit_.c_str(), engine.network().c_str(),
               engine.device().c_str(), frames / all_s, frames / network_s);
  say_if_synthetic(engine);
  const auto so_far = [&](std::int64_t of) {
    return of > 0 ? std::to_string(writer.frames) + " of " + Writer::many(of, "frame")
                  : Writer::many(writer.frames, "frame");
  };
  if (reader->live && read_to_the_end && !interrupted)
    throw Error(
        ErrorKind::file,
        reader->name + " stopped giving pictures (is it still connected?): what is written has " + so_far(flags.count));
  if (interrupted && !reader->live) throw Error(ErrorKind::usage, "interrupted: what is written has " + so_far(total));
  if (read_to_the_end && writer.frames < reader->announced) {
    if (is_cut_off(flags.input))
      throw Error(ErrorKind::file, flags.input + " is cut off: what is written has " + so_far(reader->announced));
    std::fprintf(stderr, "%s announces %lld frames; %lld could be read.\n", flags.input.c_str(),
                 static_cast<long long>(reader->announced), static_cast<long long>(writer.frames));
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"A video, a camera or a folder of pictures in, a depth video out: near is bright.", "depth_from_video"};
  Flags flags;
  app.add_option("INPUT", flags.input,
                 "a video file, a folder of pictures (in the order of their names), or the number of a camera (0)")
      ->required()
      ->type_name("");
  app.add_option("-o,--output", flags.out,
                 "the depth video: .mp4 or .mkv (H.264), or .avi (Motion JPEG: larger, and faster to write); depth.mp4 "
                 "where nothing else is asked for")
      ->type_name("FILE");
  app.add_flag("--side-by-side", flags.both, "show photograph and depth beside each other");
  app.add_option("--pictures", flags.pictures, "also a depth picture of every frame: a folder, of PNG")
      ->type_name("DIR");
  app.add_option("--raw", flags.raw, "also the values of every frame: a folder, of " + pfm_values())->type_name("DIR");
  app.add_option("--raw16", flags.raw16,
                 "also the values of every frame: a folder, of " +
                     png16_values("where the farthest of the first frame is 32768"))
      ->type_name("DIR");
  app.add_option("--fps", flags.fps, "frames a second, instead of the input's own (a folder has 25)")
      ->check(cli::above_zero)
      ->type_name("N");
  app.add_option("--count", flags.count, "stop after so many frames")->check(cli::above_zero)->type_name("N");
  flags.depth.add_to(app);
  app.footer("Ctrl-C ends the input; what was seen until then becomes a whole video.");
  return cli::run(app, argc, argv, [&] { work(flags); });
}
