// The sample convolution is right in every order and silent under the sanitizers; its mutants are caught.
#include "tests/emulator/selftest/modes.hpp"

using namespace fathom::tests;

TEST_CASE("convolution: right at uneven shapes, in every order, with late and early copies") {
  for (const std::string& order : orders()) {
    for (const std::string copies : {"late", "early"}) {
      expect_silence(CONV_PLAIN, "none", order + " FATHOM_EMU_COPIES=" + copies);
    }
  }
  expect_silence(CONV_PLAIN, "none", "FATHOM_EMU_THREADS=2");
}

TEST_CASE("convolution: mutants give wrong values") {
  expect_caught(CONV_PLAIN, {{"no_barrier", kWrongValues, "error"},
                             {"waits_too_little", kWrongValues, "error"},
                             {"no_border", kWrongValues, "error"},
                             {"wrong_stage", kWrongValues, "error"},
                             {"no_swizzle", kWrongValues, "error"},
                             {"stores_too_far", kWrongValues, "error"}});
}

#if defined(CONV_ASAN)
TEST_CASE("convolution under AddressSanitizer and UBSan") {
  expect_silence(CONV_ASAN, "none");
  expect_caught(CONV_ASAN, {{"stores_too_far", kAddressReport, "heap-buffer-overflow"},
                            {"no_border", kAddressReport, "heap-buffer-overflow"}});
}
#endif

#if defined(CONV_TSAN)
TEST_CASE("convolution under ThreadSanitizer") {
  expect_silence(CONV_TSAN, "none", "FATHOM_EMU_THREADS=2");
  expect_caught(CONV_TSAN, {{"no_barrier", kRaceReport, "data race"}, {"wrong_stage", kRaceReport, "data race"}});
}
#endif
