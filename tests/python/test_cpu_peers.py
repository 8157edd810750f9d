"""How bench/peers/cpu_peers.py takes turns, and what it measures again."""

import json
import os
import sys
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "bench", "peers"))

try:
    import torch
except ImportError as error:
    raise unittest.SkipTest(f"skipped: {error} (cpu_peers.py compares with PyTorch)")

import cpu_peers


class Turns(unittest.TestCase):
    def rounds(self, peer_ms):
        order, times = [], iter(peer_ms)
        sides = {"fathom": lambda: order.append("f") or 2.0, "peer": lambda: order.append("p") or next(times)}
        rounds = cpu_peers.measure_in_turns(sides, 3, "")
        return rounds, "".join(order)

    def test_steady_times_take_the_least_rounds_and_every_second_one_goes_backwards(self):
        rounds, order = self.rounds([4.0, 4.1, 4.0])
        self.assertEqual(order, "fppffp")
        self.assertEqual(cpu_peers.ratios_to_fathom(rounds, "peer"), [2.0, 2.05, 2.0])

    def test_spread_ratios_take_more_rounds_until_they_agree_or_three_times_as_many_are_done(self):
        self.assertEqual(len(self.rounds([4.0, 9.0, 4.0, 4.0, 4.0, 4.0, 4.0])[0]), 5)
        self.assertEqual(len(self.rounds([1.0, 9.0, 4.0] * 5)[0]), 9)


class Resuming(unittest.TestCase):
    def test_rows_of_the_same_setting_that_were_steady_are_kept(self):
        setting = {"commit": "abc", "threads": 2, "torch": "1"}
        row = {"network": "a", "size": "1x1", "spread": {"eager": 0.05}, **setting}
        kept = {**row, "network": "kept"}
        rows = [row, kept, {**row, "network": "b", "commit": "abd"}, {**row, "network": "c", "spread": {"eager": 0.9}}]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "report.json")
            self.assertEqual(cpu_peers.kept_rows(path, setting), [])
            for name, part in ((path, rows[:1]), (path + ".part", rows[1:])):
                with open(name, "w", encoding="utf-8") as file:
                    json.dump({"rows": part}, file)
            self.assertEqual(cpu_peers.kept_rows(path, setting), [row, kept])
            self.assertEqual(cpu_peers.kept_rows(path, {**setting, "commit": "abc+"}), [])


if __name__ == "__main__":
    unittest.main()
