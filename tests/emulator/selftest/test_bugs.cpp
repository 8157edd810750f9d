// Every planted bug is caught in the modes made for it, and its right version is reported by none.
#include "tests/emulator/selftest/modes.hpp"

using namespace fathom::tests;

TEST_CASE("right kernels pass in every order, with late and early copies") {
  for (const std::string& order : orders()) {
    for (const std::string copies : {"late", "early"})
      expect_silence(BUGS_PLAIN, "all good", order + " FATHOM_EMU_COPIES=" + copies);
  }
  expect_silence(BUGS_PLAIN, "all good", "FATHOM_EMU_THREADS=2");
}

TEST_CASE("plain: missing synchronisation and unwritten memory give wrong values in every order") {
  for (const std::string& order : orders()) {
    expect_caught(BUGS_PLAIN,
                  {{"read_too_early bad", kWrongValues, "values are wrong"},
                   {"write_too_early bad", kWrongValues, "values are wrong"},
                   {"missing_syncwarp bad", kWrongValues, "values are wrong"},
                   {"lockstep_sum bad", kWrongValues, "values are wrong"},
                   {"unwritten_shared bad", kWrongValues, "values are wrong"},
                   {"read_past_array bad", kWrongValues, "values are wrong"},
                   {"copy_not_awaited bad", kWrongValues, "values are wrong"},
                   {"copy_no_barrier bad", kWrongValues, "values are wrong"},
                   {"copy_wait_off_by_one bad", kWrongValues, "values are wrong"},
                   {"copy_overwrites_stage bad", kWrongValues, "values are wrong"}},
                  order);
  }
}

TEST_CASE("plain: what no GPU would accept is refused, with operation, line, block and thread") {
  expect_caught(BUGS_PLAIN,
                {{"past_static_array bad", kRefused, "past the end of first [block (0,0,0)]"},
                 {"past_dynamic_array bad", kRefused, "past the end of dynamic shared memory [block (0,0,0)]"},
                 {"before_dynamic_array bad", kRefused, "before the start of dynamic shared memory [block (0,0,0)]"},
                 {"misaligned_vec bad", kRefused, "load_vec at bugs_global.cu:"},
                 {"copy_misaligned bad", kRefused, "cp.async source at bugs_copies.cu:"},
                 {"copy_past_stage bad", kRefused, "cp.async destination at bugs_copies.cu:"},
                 {"ldmatrix_misaligned bad", kRefused, "ldmatrix at bugs_divergence.cu:"},
                 {"shuffle_in_half_warp bad", kRefused, "__shfl_xor_sync at bugs_divergence.cu:"},
                 {"shuffle_at_two_places bad", kRefused, "of the mask is in __shfl_xor_sync at bugs_divergence.cu:"},
                 {"sum_at_two_places bad", kRefused, "of the mask is in __shfl_xor_sync at bugs_divergence.cu:"},
                 {"shuffle_after_exit bad", kRefused, "exit"},
                 {"shuffle_with_wrong_mask bad", kRefused, "leaves out the lane"},
                 {"barrier_at_two_places bad", kRefused, "64 threads wait in __syncthreads at bugs_divergence.cu:"},
                 {"barrier_after_exit bad", kRefused, "28 threads have exited"},
                 {"wait_for_each_other bad", kRefused, "32 threads wait in __syncwarp at bugs_divergence.cu:"}},
                "FATHOM_EMU_SEED=3");
}

#if defined(BUGS_ASAN)
TEST_CASE("AddressSanitizer and UBSan: stray and misaligned accesses name the kernel's line") {
  expect_silence(BUGS_ASAN, "all good");
  expect_silence(BUGS_ASAN, "all good", "FATHOM_EMU_COPIES=early FATHOM_EMU_THREADS=2");
  expect_caught(BUGS_ASAN, {{"read_past_end bad", kAddressReport, "heap-buffer-overflow"},
                            {"write_past_end bad", kAddressReport, "heap-buffer-overflow"},
                            {"copy_past_end bad", kAddressReport, "heap-buffer-overflow"},
                            {"past_static_array bad", kAddressReport, "use-after-poison"},
                            {"past_dynamic_array bad", kAddressReport, "use-after-poison"},
                            {"before_dynamic_array bad", kAddressReport, "use-after-poison"},
                            {"read_past_array bad", kAddressReport, "use-after-poison"},
                            {"misaligned_plain bad", kWrongValues, "misaligned address"},
                            // and what the plain mode catches
                            {"read_too_early bad", kWrongValues, "values are wrong"},
                            {"copy_wait_off_by_one bad", kWrongValues, "values are wrong"},
                            {"shuffle_in_half_warp bad", kRefused, "__shfl_xor_sync"},
                            {"barrier_after_exit bad", kRefused, "28 threads have exited"}});
}
#endif

#if defined(BUGS_TSAN)
TEST_CASE("ThreadSanitizer: races are reported, whatever the values") {
  const std::string workers = "FATHOM_EMU_THREADS=2";
  expect_silence(BUGS_TSAN, "all good", workers);
  expect_caught(BUGS_TSAN,
                {{"read_too_early bad", kRaceReport, "ThreadSanitizer: data race"},
                 {"write_too_early bad", kRaceReport, "ThreadSanitizer: data race"},
                 {"missing_syncwarp bad", kRaceReport, "ThreadSanitizer: data race"},
                 {"lockstep_sum bad", kRaceReport, "ThreadSanitizer: data race"},
                 {"same_value_race bad", kRaceReport, "ThreadSanitizer: data race"},
                 {"sum_in_block bad", kRaceReport, "ThreadSanitizer: data race"},
                 {"sum_over_blocks bad", kRaceReport, "ThreadSanitizer: data race"},
                 {"missing_fence bad", kRaceReport, "ThreadSanitizer: data race"},
                 {"copy_no_barrier bad", kRaceReport, "ThreadSanitizer: data race"},
                 {"copy_overwrites_stage bad", kRaceReport, "ThreadSanitizer: data race"}},
                workers);
}
#endif
