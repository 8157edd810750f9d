"""How bench/peers/peers.py takes turns, chooses its peers, and what it measures again."""

import json
import os
import sys
import tempfile
import time
import unittest
import unittest.mock

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path[:0] = [os.path.join(ROOT, "bench", "peers"), os.path.join(ROOT, "weights_tools")]

import needs

try:
    import numpy as np
    import torch
except ImportError as error:
    needs.lacking(error, "peers.py compares with PyTorch")

import contestants
import peers
import turns

GRAPH = {
    "version": 1,
    "inputs": [{"name": "image", "dtype": "u8", "mean": [0.5], "std": [0.25]}],
    "nodes": [
        {"op": "Conv2d", "name": "c", "in": ["image"], "out": ["x"], "weight": "w", "bias": "b", "padding": 1},
        {"op": "Activation", "name": "a", "in": ["x"], "out": ["y"], "kind": "relu"},
    ],
    "outputs": [{"name": "y", "value": "y"}],
}


def small_task():
    random = np.random.default_rng(0)
    weights = {"w": random.standard_normal((4, 3, 3, 3), np.float32), "b": random.standard_normal(4, np.float32)}
    pictures = torch.from_numpy(random.integers(0, 256, (2, 3, 5, 7), np.uint8))
    return contestants.Task(GRAPH, weights, [pictures], threads=1)


class Turns(unittest.TestCase):
    def rounds(self, peer_ms):
        order, times = [], iter(peer_ms)
        sides = {"fathom": lambda: order.append("f") or 2.0, "peer": lambda: order.append("p") or next(times)}
        rounds = turns.measure_in_turns(sides, 3, 9, lambda text: None, pause_s=0)
        return rounds, "".join(order)

    def test_steady_times_take_the_least_rounds_and_every_second_one_goes_backwards(self):
        rounds, order = self.rounds([4.0, 4.1, 4.0])
        self.assertEqual(order, "fppffp")
        self.assertEqual(turns.ratios_to_fathom(rounds, "peer"), [2.0, 2.05, 2.0])

    def test_spread_ratios_take_more_rounds_until_they_agree_or_the_most_are_done(self):
        self.assertEqual(len(self.rounds([4.0, 9.0, 4.0, 4.0, 4.0, 4.0, 4.0])[0]), 5)
        self.assertEqual(len(self.rounds([1.0, 9.0, 4.0] * 5)[0]), 9)


class Figures(unittest.TestCase):
    def test_ratios_are_the_peers_times_over_ours_and_the_best_peer_is_the_fastest(self):
        rounds = [{"fathom": 2, "eager a": 8, "x": 3, "slow": 20}, {"fathom": 4, "eager a": 8, "x": 6, "slow": 20},
                  {"fathom": 2, "eager a": 6, "x": 5, "slow": 20}]
        row = peers.figures_of(rounds, ["eager a", "x", "slow"])
        self.assertEqual(row["median_ms"], {"fathom": 2, "eager a": 8, "x": 5, "slow": 20})
        self.assertEqual((row["eager"], row["ratio_eager"]), ("eager a", 3))
        self.assertEqual((row["best_peer"], row["ratio_best"]), ("x", 1.5))
        self.assertIsNone(peers.figures_of(rounds, ["x"])["ratio_eager"])

    def test_the_mean_of_ratios_is_the_geometric_one(self):
        self.assertAlmostEqual(peers.geometric_mean([0.5, 8]), 2)
        self.assertIsNone(peers.geometric_mean([]))


class Choosing(unittest.TestCase):
    def choose(self, candidates):
        """candidates: (name, kind, output, milliseconds)"""
        expected, times = np.array([0.0, 1.0]), {}

        def contestant(name, kind, output, ms):
            run = lambda: np.array(output)  # noqa: E731
            times[run] = ms
            return contestants.Contestant(name, kind, lambda task: run)

        task = contestants.Task({}, {}, [])
        return peers.choose([contestant(*c) for c in candidates], task, expected, lambda run, s: [times[run]], "")

    def test_the_fastest_eager_one_and_the_fastest_of_all_are_timed(self):
        good = [0.0, 1.0]
        best, tried, refused = self.choose(
            [("eager a", "eager", good, 5), ("eager b", "eager", good, 4), ("x", "compiled", good, 3)]
        )
        self.assertEqual((set(best), tried), ({"eager b", "x"}, {"eager a": 5, "eager b": 4, "x": 3}))
        self.assertEqual(set(self.choose([("eager", "eager", good, 1), ("x", "compiled", good, 3)])[0]), {"eager"})

    def test_a_peer_with_another_output_is_refused(self):
        best, tried, refused = self.choose([("eager", "eager", [0, 1.0], 5), ("wrong", "compiled", [0, 1.001], 1)])
        self.assertEqual((set(best), set(tried)), ({"eager"}, {"eager"}))
        self.assertIn("output differs, error 0.001", refused["wrong"])
        nan = float("nan")
        self.assertIn("inf", self.choose([("e", "eager", [0, 1.0], 5), ("n", "compiled", [0, nan], 1)])[2]["n"])

    def test_a_second_layout_is_compiled_only_if_eager_is_faster_in_it(self):
        good = [0.0, 1.0]
        eager = [("eager contiguous", "eager", good, 5), ("eager channels_last", "eager", good, 4)]
        compiled = [(f"compile {layout}", "compiled", good, 3) for layout in contestants.LAYOUTS]
        _, tried, refused = self.choose(eager + compiled)
        self.assertNotIn("compile contiguous", tried)
        self.assertIn("compile channels_last", tried)
        self.assertIn("not tried", refused["compile contiguous"])


    def test_a_way_that_is_not_ready_in_time_is_refused(self):
        run = lambda: np.array([0.0, 1.0])  # noqa: E731
        slow = contestants.Contestant("slow", "compiled", lambda task: time.sleep(30) or run)
        quick = contestants.Contestant("eager", "eager", lambda task: run)
        task = contestants.Task({}, {}, [])
        _, tried, refused = peers.choose([quick, slow], task, run(), lambda run, s: [1.0], "", limit_s=0.05)
        self.assertEqual((set(tried), refused), ({"eager"}, {"slow": "not ready within 0.05 s"}))


class Contestants(unittest.TestCase):
    def test_halves_stay_halves_and_nothing_is_copied_from_the_host_while_running(self):
        task = small_task()
        module, images = task.module(torch.channels_last)
        module.to(torch.bfloat16)  # a CPU's halves
        with torch.no_grad(), unittest.mock.patch("torch.tensor", side_effect=AssertionError):  # no graph records it
            (output,) = module(*images)
        self.assertEqual(output.dtype, torch.bfloat16)

    def test_all_that_this_machine_has_give_the_same_output(self):
        task = small_task()
        x = torch.cat([image.float() / 255 for image in task.images])
        expected = torch.nn.functional.conv2d(
            (x - 0.5) / 0.25, torch.from_numpy(task.weights["w"]), torch.from_numpy(task.weights["b"]), padding=1
        )
        found, lacking = contestants.contestants("cpu", skip=["compile"])  # compiling takes a minute
        self.assertGreaterEqual(len(found), 6)
        with torch.no_grad():
            for contestant in found:
                run = contestant.prepare(task)
                for _ in range(3):
                    output = contestants.as_numpy(run())
                self.assertLess(peers.relative_error(output, expected.clamp(min=0).numpy()), 1e-6, contestant.name)

    def test_inputs_in_turns_are_twice_the_cache(self):
        self.assertEqual(contestants.rotation(368640, 62914560), 342)  # as bench/rotation.cpp has it
        self.assertEqual(contestants.rotation(3000, 62914560), 1024)
        self.assertEqual(contestants.rotation(200000000, 62914560), 1)
        self.assertEqual((contestants.rotation(3000, 0), contestants.cache_bytes("cpu")), (1, 0))

    def test_each_run_takes_the_next_buffer(self):
        task = small_task()
        task.buffers = 3
        seen = []
        with unittest.mock.patch.object(contestants.Task, "module") as module:
            module.return_value = (lambda image: [seen.append(image.data_ptr())], [task.images[0]])
            run = contestants.eager(torch.contiguous_format)(task)
            for _ in range(6):
                run()
        self.assertEqual(seen[:3], seen[3:])
        self.assertEqual(len(set(seen)), 3)

    def test_what_is_skipped_is_told(self):
        found, lacking = contestants.contestants("cpu", skip=["frozen", "eager channels_last"])
        self.assertFalse([c.name for c in found if c.name.startswith("frozen")])
        self.assertIn("--skip", lacking["eager channels_last"])


class Resuming(unittest.TestCase):
    def test_rows_of_the_same_setting_that_were_steady_are_kept(self):
        setting = {"commit": "abc", "threads": 2, "torch": "1"}
        row = {"network": "a", "size": "1x1", "spread": {"eager": 0.05}, "rounds_ms": [{}] * 3, **setting}
        kept, other_batch = {**row, "network": "kept"}, {**row, "batch": 8}
        rows = [
            row,
            kept,
            other_batch,
            {**row, "network": "b", "commit": "abd"},
            {**row, "network": "c", "spread": {"eager": 0.9}},
            {**row, "network": "d", "rounds_ms": [{}]},
        ]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "report.json")
            self.assertEqual(peers.kept_rows(path, setting, 3), [])
            for name, part in ((path, rows[:1]), (path + ".part", rows[1:])):
                with open(name, "w", encoding="utf-8") as file:
                    json.dump({"rows": part}, file)
            self.assertEqual(peers.kept_rows(path, setting, 3), [row, kept, other_batch])
            self.assertEqual(peers.kept_rows(path, {**setting, "commit": "abc+"}, 3), [])


if __name__ == "__main__":
    unittest.main()
