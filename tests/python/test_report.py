"""bench/report.py: what it writes comes from bench/results, and README holds nothing else."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "bench"))

import report

PLACE = "<!-- {}: written by bench/report.py -->\nold\n<!-- end -->"


class Report(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.results = folder.name

    def put(self, name, value):
        with open(os.path.join(self.results, name), "w", encoding="utf-8") as file:
            json.dump(value, file)

    def test_readme_is_up_to_date_and_claims_nothing_else(self):
        done = subprocess.run([sys.executable, os.path.join(ROOT, "bench", "report.py"), "--check"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_newest_file_fills_its_place(self):
        row = {"problem": "a.csv", "buffers": 3, "ratio": 1.0, "seconds": 0.5, "optimal": True}
        for day, problem in (("01", "old.csv"), ("02", "new.csv")):
            self.put(f"place_2026-01-{day}.json", {"machine": "m", "date": day, "rows": [{**row, "problem": problem}]})
        text = report.fill("a\n" + PLACE.format("place") + "\nb", self.results)
        self.assertIn("| new.csv | 3 | 1.0000 | 0.50 | meets the bound |", text)
        self.assertNotIn("old", text)
        self.assertTrue(text.startswith("a\n") and text.endswith("\nb"))
        self.assertRaises(ValueError, report.fill, "no place", self.results)

    def test_a_place_without_a_file_is_empty(self):
        self.assertNotIn("old", report.fill(PLACE.format("fps"), self.results))

    def test_arenas_above_their_bound_are_told(self):
        row = {"network": "n", "device": "cpu", "precision": "fp32", "width": 8, "height": 4, "batch": 1, "sum_bytes": 4 << 20,
               "lower_bound_bytes": 2 << 20, "arena_bytes": 3 << 20}
        missed = {**row, "ratio": 1.5, "gap_bytes": 1 << 20, "proved_smallest": False}
        self.put("memory_1.json", {"rows": [row], "not_at_bound": [missed], "order": [{**row, "share_of_bound": 0.171}]})
        text = report.fill(PLACE.format("memory"), self.results)
        for part in ("| n | 8x4 | 4.0 | 2.0 | 3.0 |", "0 are as small", "ratio 1.5000, 1048576 bytes above", "by up to 17.1 %"):
            self.assertIn(part, text)

    def test_where_inputs_came_from_is_said_if_all_came_from_there(self):
        row = {"network": "n", "width": 8, "height": 4, "batch": 1, "median_ms": 1.0, "images_per_s": 1000.0, "arena_bytes": 8,
               "launches": 3, "inputs": "rotated past L2 (9 buffers)"}
        for rows, said in (([row], 1), ([row, {**row, "inputs": "warm"}], 0), ([{**row, "inputs": ""}], 0)):
            self.put("fps_1.json", {"device": "g", "machine": "m", "date": "d", "rows": rows})
            text = report.fill(PLACE.format("fps"), self.results)
            self.assertEqual(text.count("takes its pictures from memory"), said)
            self.assertIn("| n | 8x4 | 1 | 1.00 |", text)

    def test_papers_tables_are_short(self):
        row = {"network": "d", "width": 8, "height": 4, "note": ""}
        pair = {"network": "d : r", "figure": "ratio_one", "paper": 18.0, "note": "half the size"}
        rows = [
            {**row, "figure": "parameters", "paper": 2.0, "here": 2.02, "ratio": 1.01, "remark": ""},
            {**row, "figure": "parameters", "paper": 2.0, "here": 3.0, "ratio": 1.5, "remark": ""},
            {**row, "network": "d_plain", "figure": "parameters", "paper": 2.0, "here": 4.0, "ratio": 2.0, "remark": ""},
            {**row, "figure": "ms", "paper": None, "here": 7.25, "ratio": None, "remark": ""},
            {**row, "figure": "largest_batch", "paper": 36.0, "here": 515.0, "ratio": 14.3, "remark": ""},
            {**pair, "here": 24.84, "ratio": 1.38, "remark": "every layer on its own"},
            {**pair, "here": 11.06, "ratio": 0.61, "remark": "fused"},
            {**pair, "figure": "ratio_largest", "paper": 35.0, "here": 12.34, "ratio": 0.35, "remark": "fused, batches 8 and 3"},
            {**pair, "figure": "ratio_largest", "paper": 35.0, "here": None, "ratio": None, "remark": "every layer on its own"},
        ]
        self.put("tables_1.json", {"device": "CPU, 2 threads", "machine": "m", "date": "2026-01-02", "load_at_start": 2.0,
                                   "tables": [{"table": "drnet", "rows": rows}]})
        text = report.fill(PLACE.format("tables"), self.results)
        for part in (
            "CPU, 2 threads, m, 2026-01-02.",
            "load 2.0 at the start",
            "Of 2 counts of parameters and multiply-adds 1 are within 2 %",
            "| d : r | batch 1 | 18 | 24.8 | 11.1 |",
            "| d : r | largest batches | 35 | - | 12.3 (8 and 3) |",
            "RSIDE: half the size.",
            "| d | 8x4 | 36 | 515 |",
        ):
            self.assertIn(part, text)
        self.assertNotIn("7.25", text)

    def test_numbers_from_nowhere_are_found(self):
        self.put("fps_1.json", {"rows": [{"median_ms": 12.345, "arena_bytes": 5 << 20}]})
        inside = PLACE.format("fps").replace("old", "77 ms")
        nowhere = report.claims_from_nowhere("It takes 12.3 ms, or 12 ms, in 5.0 MiB. " + inside, self.results)
        self.assertEqual(nowhere, [])
        self.put("tables_1.json", {"tables": [{"rows": [{"here": 7.25, "remark": "batch 8", "note": ""}]}]})
        self.assertEqual(report.claims_from_nowhere("7.25 ms, 9 ms", self.results), ["9 ms"])
        self.assertEqual(report.claims_from_nowhere("13 ms and 2.5 times as fast", self.results), ["13 ms", "2.5 times as fast"])


if __name__ == "__main__":
    unittest.main()
