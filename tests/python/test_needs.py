"""Missing packages: a visible skip by hand, a failure in CI and under tests/run.sh."""

import os
import unittest
from unittest import mock

import needs


class Needs(unittest.TestCase):
    def outcome(self, **environment):
        clean = {name: value for name, value in os.environ.items() if name not in ("CI", "FATHOM_ALL_TESTS")}
        with mock.patch.dict(os.environ, {**clean, **environment}, clear=True):
            try:
                needs.lacking(ImportError("No module named 'torch'"), "why")
            except (ImportError, unittest.SkipTest) as error:
                return type(error), str(error)

    def test_by_hand_a_missing_package_is_a_skip_that_says_which(self):
        self.assertEqual(self.outcome(), (unittest.SkipTest, "skipped: No module named 'torch' (why)"))
        self.assertEqual(self.outcome(CI="false")[0], unittest.SkipTest)

    def test_where_packages_must_be_there_a_missing_one_fails(self):
        self.assertEqual(self.outcome(CI="true"), (ImportError, "No module named 'torch'"))
        self.assertEqual(self.outcome(FATHOM_ALL_TESTS="1"), (ImportError, "No module named 'torch'"))
