// Runs a test program as a child and judges how it ended: a sanitizer ends the process that it finds a fault in, so
// what it must catch cannot run inside the test. The same program exists once per mode (plain, asan, tsan).
#pragma once
#include <sys/wait.h>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/catch.hpp"

namespace fathom::tests {

// Exit statuses of the children; the sanitizers' are set in run_mode().
inline constexpr int kRight = 0, kWrongValues = 1, kRefused = 2, kAddressReport = 66, kRaceReport = 68;

struct Outcome {
  int status = -1;  // exit status, or -1 if it was killed
  std::string output;
};

inline Outcome run_child(const std::string& command) {
  Outcome outcome;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (!pipe) throw std::runtime_error("cannot run " + command);
  char buffer[4096];
  while (const std::size_t got = std::fread(buffer, 1, sizeof buffer, pipe)) outcome.output.append(buffer, got);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) outcome.status = WEXITSTATUS(status);
  return outcome;
}

// `settings` are environment variables of the emulator: "FATHOM_EMU_ORDER=reverse FATHOM_EMU_THREADS=2".
inline Outcome run_mode(const std::string& program, const std::string& arguments, const std::string& settings) {
  const std::string environment = settings +
                                  " ASAN_OPTIONS=detect_leaks=0:exitcode=66 UBSAN_OPTIONS=print_stacktrace=0" +
                                  " TSAN_OPTIONS=halt_on_error=1:exitcode=68 ";
  const std::string rest = "'" + program + "' " + arguments;
  Outcome outcome = run_child(environment + rest);
  // Some systems place memory at random where ThreadSanitizer cannot be; without that it runs.
  if (outcome.output.find("unexpected memory mapping") != std::string::npos) {
    outcome = run_child(environment + "setarch -R " + rest);
  }
  return outcome;
}

// A child that must be caught: how it ends, and a part of what is then said.
struct Finding {
  std::string arguments;
  int status;
  std::string says;
};

inline void expect_caught(const std::string& program, const std::vector<Finding>& findings,
                          const std::string& settings = "") {
  for (const Finding& expected : findings) {
    const Outcome outcome = run_mode(program, expected.arguments, settings);
    INFO(expected.arguments << " " << settings << "\n" << outcome.output);
    CHECK(outcome.status == expected.status);
    CHECK(outcome.output.find(expected.says) != std::string::npos);
    if (expected.status == kAddressReport || expected.status == kRaceReport) {
      CHECK(outcome.output.find(".cu:") != std::string::npos);  // the kernel's line
    }
  }
}

inline void expect_silence(const std::string& program, const std::string& arguments, const std::string& settings = "") {
  const Outcome outcome = run_mode(program, arguments, settings);
  INFO(arguments << " " << settings << "\n" << outcome.output);
  CHECK(outcome.status == kRight);
  CHECK(outcome.output.empty());
}

// Every order, the shuffled one twice.
inline const std::vector<std::string>& orders() {
  static const std::vector<std::string> kOrders = {"FATHOM_EMU_ORDER=in_order", "FATHOM_EMU_ORDER=reverse",
                                                   "FATHOM_EMU_SEED=1", "FATHOM_EMU_SEED=2"};
  return kOrders;
}

}  // namespace fathom::tests
