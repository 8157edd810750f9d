"""What a test module does where a package it needs is missing."""

import os
import unittest


def lacking(error, why):
    """Skips for who runs the tests by hand; fails in CI and under tests/run.sh, where a skip would hide every test of the module."""
    if os.environ.get("CI") == "true" or os.environ.get("FATHOM_ALL_TESTS") == "1":
        raise error
    raise unittest.SkipTest(f"skipped: {error} ({why})")
