// What the stages of a video are made of, without videos.
#include <cmath>
#include <stdexcept>
#include <thread>

#include "samples/pace.hpp"
#include "samples/stable_range.hpp"
#include "samples/stages.hpp"
#include "samples/video_header.hpp"
#include "tests/catch.hpp"
#include "tests/folder.hpp"

using namespace fathom;

TEST_CASE("queues keep the order, wait for room and end", "[samples]") {
  Queue<int> queue(2);
  std::thread from([&] {
    for (int i = 0; i < 1000; ++i) queue.push(i);
    queue.close();
  });
  int expected = 0;
  while (const std::optional<int> value = queue.pop()) CHECK(*value == expected++);
  from.join();
  CHECK(expected == 1000);
  CHECK(!queue.push(1));
  CHECK(!queue.pop());

  // A camera's: the oldest goes.
  Queue<int> newest(2);
  for (int i = 0; i < 5; ++i) CHECK(newest.push_newest(i));
  CHECK(newest.pop() == 3);
  newest.abandon();
  CHECK(!newest.pop());
  CHECK(!newest.push_newest(1));
}

TEST_CASE("an error in one stage ends all of them, and is the one that is told", "[samples]") {
  for (const int failing : {0, 1, 2}) {
    Queue<int> first(1), second(1);
    Stages stages(first, second);
    const auto maybe_fail = [failing](int stage, int n) {
      if (stage == failing && n == 50) throw std::runtime_error("stage " + std::to_string(stage));
    };
    std::thread a([&] {
      stages.run([&] {
        for (int n = 0; first.push(n); ++n) maybe_fail(0, n);  // without end, unless told
      });
    });
    std::thread b([&] {
      stages.run([&] {
        while (const auto n = second.pop()) maybe_fail(2, *n);
      });
    });
    stages.run([&] {
      while (const auto n = first.pop()) {
        maybe_fail(1, *n);
        if (!second.push(*n)) break;
      }
    });
    a.join(), b.join();
    CHECK_THROWS_WITH(stages.rethrow(), "stage " + std::to_string(failing));
  }
  Queue<int> queue(1);
  Stages stages(queue);
  for (const char* text : {"the cause", "what followed from it"}) stages.run([&] { throw std::runtime_error(text); });
  CHECK_THROWS_WITH(stages.rethrow(), "the cause");
}

TEST_CASE("a camera's frames are shown for as long as they were the newest", "[samples]") {
  // A video of 10 frames a second: what is shown in each, by the number of the camera's frame.
  const auto video = [](const std::vector<double>& seconds) {
    std::vector<int> shown;
    Pace pace(10);
    for (int i = 0; i < static_cast<int>(seconds.size()); ++i) {
      const Pace::Turn turn = pace.next(seconds[i]);
      for (std::int64_t k = 0; k < turn.again; ++k) shown.push_back(shown.back());
      if (turn.shown) shown.push_back(i);
    }
    return shown;
  };
  CHECK(video({0, 0.1, 0.2, 0.3}) == std::vector{0, 1, 2, 3});
  CHECK(video({0, 0.31, 0.38, 0.62}) == std::vector{0, 0, 0, 1, 2, 2, 3});       // a slow network
  CHECK(video({0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.16}) == std::vector{0, 3, 6});  // a fast camera
}

TEST_CASE("the range of a video follows its frames slowly, and jumps with the scene", "[samples]") {
  // Inverse depths evenly from low to high: percentiles 2 and 98 lie 2 percent inside.
  const auto frame = [](float low, float high) {
    DepthMap map{101, 1, {}, "m"};
    for (int i = 0; i <= 100; ++i) map.depth.push_back(1 / (low + (high - low) * static_cast<float>(i) / 100));
    return map;
  };
  StableRange range(1);
  const DisplayRange first = range.follow(frame(1, 2), 0);
  CHECK((first.far == Approx(1.02) && first.near == Approx(1.98)));
  // Flicker of 20 percent at 25 frames a second: a twentieth of it is left.
  float least = 9, most = 0;
  for (int i = 0; i < 200; ++i) {
    const DisplayRange now = range.follow(i % 2 ? frame(1, 2) : frame(1, 2.4f), 0.04);
    if (i >= 100) least = std::min(least, now.near), most = std::max(most, now.near);
  }
  CHECK(most - least < 0.02);
  CHECK(least > 2.1);
  // A lasting change is followed: 63 percent within a second, at any number of frames a second.
  for (const int fps : {5, 50}) {
    StableRange slow(1);
    slow.follow(frame(1, 2), 0);
    DisplayRange now;
    for (int i = 0; i < fps; ++i) now = slow.follow(frame(1, 3), 1.0 / fps);
    CHECK(now.near == Approx(1.98 + (2.98 - 1.98 - 0.02) * (1 - std::exp(-1.0))).margin(0.02));
  }
  // The settling time counts in seconds; without one it is a second.
  StableRange patient(4), usual;
  for (StableRange* one : {&patient, &usual}) one->follow(frame(1, 2), 0);
  const DisplayRange after4 = patient.follow(frame(1.5f, 3), 2), after1 = usual.follow(frame(1.5f, 3), 2);
  CHECK(after4.near == Approx(1.98 + 0.99 * (1 - std::exp(-0.5))).epsilon(1e-4));
  CHECK(after4.far == Approx(1.02 + 0.51 * (1 - std::exp(-0.5))).epsilon(1e-4));
  CHECK(after1.near == Approx(1.98 + 0.99 * (1 - std::exp(-2.0))).epsilon(1e-4));
  // Frames without depth change nothing; another scene is taken at once.
  const DisplayRange before = range.follow(frame(1, 2), 0);
  const DisplayRange blind = range.follow({2, 1, {0, -1}, "m"}, 1);
  CHECK((blind.far == before.far && blind.near == before.near));
  const DisplayRange other = range.follow(frame(10, 20), 0.04);
  CHECK((other.far == Approx(10.2) && other.near == Approx(19.8)));
}

TEST_CASE("video files that are cut off are known by what they say of themselves", "[samples]") {
  const Folder folder("video_header");
  const auto cut = [&](const std::string& bytes) {
    put(folder / "v", bytes);
    return is_cut_off(folder / "v");
  };
  const auto text = [](const char* bytes, std::size_t n) { return std::string(bytes, n); };
  const std::string avi = text("RIFF\x08\0\0\0AVI ....", 16);
  CHECK(!cut(avi));
  CHECK(!cut(avi + avi));  // above 1 GiB there are several
  CHECK(cut(avi.substr(0, 15)));
  CHECK(cut(avi + avi.substr(0, 15)));
  CHECK(!cut(text("RIFF\0\0\0\0AVI ", 12)));
  const std::string mp4 = text(
      "\0\0\0\x0C"
      "ftypisom"
      "\0\0\0\x01"
      "mdat\0\0\0\0\0\0\0\x14"
      "....",
      32);
  CHECK(!cut(mp4));
  CHECK(!cut(mp4 + text("\0\0\0\0free..........", 18)));
  CHECK(cut(mp4.substr(0, 31)));
  CHECK(
      cut(text("\0\0\0\x0C"
               "ftypisom"
               "\0\0\0\x01"
               "mdat\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF....",
               32)));
  const std::string mkv = text("\x1A\x45\xDF\xA3\x82..\x18\x53\x80\x67\x40\x04....", 17);
  CHECK(!cut(mkv));
  CHECK(cut(mkv.substr(0, 16)));
  CHECK(!cut(text("\x1A\x45\xDF\xA3\x82..\x18\x53\x80\x67\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF..", 21)));  // being sent
  CHECK(!cut("neither of them"));
  CHECK(!cut(""));
  CHECK(!is_cut_off(folder / "none"));
}
