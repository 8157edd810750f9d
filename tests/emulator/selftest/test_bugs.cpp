// Every planted bug is caught in the modes made for it, and its right version is reported by none.
#include <string>
#include <vector>

#include "tests/catch.hpp"
#include "tests/emulator/selftest/child_process.hpp"

namespace {

using fathom::tests::Outcome;
using fathom::tests::run_child;

// Exit statuses; the sanitizers' are set below.
constexpr int kRight = 0, kWrongValues = 1, kRefused = 2, kAddressReport = 66, kRaceReport = 68;

struct Finding {
  std::string bug;
  int status;
  std::string says;  // a part of the output
};

const std::string kRace = "ThreadSanitizer: data race";

Outcome run(const std::string& program, const std::string& bug, const std::string& version,
            const std::string& settings = "") {
  const std::string command = settings + " ASAN_OPTIONS=detect_leaks=0:exitcode=66 UBSAN_OPTIONS=print_stacktrace=0 " +
                              "TSAN_OPTIONS=halt_on_error=1:exitcode=68 ";
  const std::string rest = program + " " + bug + " " + version;
  Outcome outcome = run_child(command + rest);
  // Some kernels place memory at random where ThreadSanitizer cannot be; without that it runs.
  if (outcome.output.find("unexpected memory mapping") != std::string::npos) {
    outcome = run_child(command + "setarch -R " + rest);
  }
  return outcome;
}

void expect_caught(const std::string& program, const std::vector<Finding>& table, const std::string& settings = "") {
  for (const Finding& expected : table) {
    const Outcome outcome = run(program, expected.bug, "bad", settings);
    INFO(expected.bug << " " << settings << "\n" << outcome.output);
    CHECK(outcome.status == expected.status);
    CHECK(outcome.output.find(expected.says) != std::string::npos);
    if (expected.status == kAddressReport || expected.status == kRaceReport) {
      CHECK(outcome.output.find(".cu:") != std::string::npos);  // the kernel's line
    }
  }
}

void expect_silence(const std::string& program, const std::string& settings = "") {
  const Outcome outcome = run(program, "all", "good", settings);
  INFO(settings << "\n" << outcome.output);
  CHECK(outcome.status == kRight);
  CHECK(outcome.output.empty());
}

const std::string kOrders[] = {"FATHOM_EMU_ORDER=in_order", "FATHOM_EMU_ORDER=reverse", "FATHOM_EMU_SEED=1",
                               "FATHOM_EMU_SEED=2"};

}  // namespace

TEST_CASE("right kernels pass in every order, with late and early copies") {
  for (const std::string& order : kOrders) {
    for (const std::string copies : {"late", "early"})
      expect_silence(BUGS_PLAIN, order + " FATHOM_EMU_COPIES=" + copies);
  }
  expect_silence(BUGS_PLAIN, "FATHOM_EMU_THREADS=2");
}

TEST_CASE("plain: missing synchronisation and unwritten memory give wrong values in every order") {
  for (const std::string& order : kOrders) {
    expect_caught(BUGS_PLAIN,
                  {{"read_too_early", kWrongValues, "values are wrong"},
                   {"write_too_early", kWrongValues, "values are wrong"},
                   {"missing_syncwarp", kWrongValues, "values are wrong"},
                   {"lockstep_sum", kWrongValues, "values are wrong"},
                   {"unwritten_shared", kWrongValues, "values are wrong"},
                   {"read_past_array", kWrongValues, "values are wrong"},
                   {"copy_not_awaited", kWrongValues, "values are wrong"},
                   {"copy_no_barrier", kWrongValues, "values are wrong"},
                   {"copy_wait_off_by_one", kWrongValues, "values are wrong"},
                   {"copy_overwrites_stage", kWrongValues, "values are wrong"}},
                  order);
  }
}

TEST_CASE("plain: what no GPU would accept is refused, with operation, line, block and thread") {
  expect_caught(BUGS_PLAIN,
                {{"past_static_array", kRefused, "past the end of first [block (0,0,0)]"},
                 {"past_dynamic_array", kRefused, "past the end of dynamic shared memory [block (0,0,0)]"},
                 {"before_dynamic_array", kRefused, "before the start of dynamic shared memory [block (0,0,0)]"},
                 {"misaligned_vec", kRefused, "load_vec at bugs_global.cu:"},
                 {"copy_misaligned", kRefused, "cp.async source at bugs_copies.cu:"},
                 {"copy_past_stage", kRefused, "cp.async destination at bugs_copies.cu:"},
                 {"ldmatrix_misaligned", kRefused, "ldmatrix at bugs_divergence.cu:"},
                 {"shuffle_in_half_warp", kRefused, "__shfl_xor_sync at bugs_divergence.cu:"},
                 {"shuffle_at_two_places", kRefused, "of the mask is in __shfl_xor_sync at bugs_divergence.cu:"},
                 {"sum_at_two_places", kRefused, "of the mask is in __shfl_xor_sync at bugs_divergence.cu:"},
                 {"shuffle_after_exit", kRefused, "exit"},
                 {"shuffle_with_wrong_mask", kRefused, "leaves out the lane"},
                 {"barrier_at_two_places", kRefused, "64 threads wait in __syncthreads at bugs_divergence.cu:"},
                 {"barrier_after_exit", kRefused, "28 threads have exited"},
                 {"wait_for_each_other", kRefused, "32 threads wait in __syncwarp at bugs_divergence.cu:"}},
                "FATHOM_EMU_SEED=3");
}

#if defined(BUGS_ASAN)
TEST_CASE("AddressSanitizer and UBSan: stray and misaligned accesses name the kernel's line") {
  expect_silence(BUGS_ASAN);
  expect_silence(BUGS_ASAN, "FATHOM_EMU_COPIES=early FATHOM_EMU_THREADS=2");
  expect_caught(BUGS_ASAN, {{"read_past_end", kAddressReport, "heap-buffer-overflow"},
                            {"write_past_end", kAddressReport, "heap-buffer-overflow"},
                            {"copy_past_end", kAddressReport, "heap-buffer-overflow"},
                            {"past_static_array", kAddressReport, "use-after-poison"},
                            {"past_dynamic_array", kAddressReport, "use-after-poison"},
                            {"before_dynamic_array", kAddressReport, "use-after-poison"},
                            {"read_past_array", kAddressReport, "use-after-poison"},
                            {"misaligned_plain", 1, "misaligned address"},
                            // and what the plain mode catches
                            {"read_too_early", kWrongValues, "values are wrong"},
                            {"copy_wait_off_by_one", kWrongValues, "values are wrong"},
                            {"shuffle_in_half_warp", kRefused, "__shfl_xor_sync"},
                            {"barrier_after_exit", kRefused, "28 threads have exited"}});
}
#endif

#if defined(BUGS_TSAN)
TEST_CASE("ThreadSanitizer: races are reported, whatever the values") {
  const std::string workers = "FATHOM_EMU_THREADS=2";
  expect_silence(BUGS_TSAN, workers);
  expect_caught(BUGS_TSAN,
                {{"read_too_early", kRaceReport, kRace},
                 {"write_too_early", kRaceReport, kRace},
                 {"missing_syncwarp", kRaceReport, kRace},
                 {"lockstep_sum", kRaceReport, kRace},
                 {"same_value_race", kRaceReport, kRace},
                 {"sum_in_block", kRaceReport, kRace},
                 {"sum_over_blocks", kRaceReport, kRace},
                 {"missing_fence", kRaceReport, kRace},
                 {"copy_no_barrier", kRaceReport, kRace},
                 {"copy_overwrites_stage", kRaceReport, kRace}},
                workers);
}
#endif
