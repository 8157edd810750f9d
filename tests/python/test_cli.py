"""The programs from outside: exit status, one line of error, files written; README's commands; an installed package."""

import json
import math
import os
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
import zlib

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILD = os.environ.get("FATHOM_PROGRAMS", os.path.join(ROOT, "build", "dev"))
DEPTH = os.path.join(BUILD, "samples", "depth_from_image")
WEIGHTS = os.path.join(BUILD, "weights_tools", "fathom_weights")
BENCH = os.path.join(BUILD, "bench", "fathom_bench")


def png(path, width, height):
    """A colour gradient, written without any library."""
    rows = b"".join(b"\0" + bytes((x * 255 // width, y * 255 // height, 128)[k] for x in range(width) for k in range(3))
                    for y in range(height))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
                   chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def floats(*values):
    return struct.pack(f"<{len(values)}f", *values)


@unittest.skipUnless(os.path.exists(DEPTH) and os.path.exists(WEIGHTS), "skipped: the programs are not built")
class Programs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.photo = self.path("photo.png")
        png(self.photo, 120, 90)

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_program(self, *command, status=0):
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, status, f"{command}\n{done.stdout}{done.stderr}")
        return done

    def fails(self, *command, says, status=1):
        done = self.run_program(*command, status=status)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertEqual(done.stdout, "")
        for part in says:
            self.assertIn(part, done.stderr)

    def test_of_several_networks_one_that_fails_is_told_and_the_others_are_timed(self):
        done = self.run_program(BENCH, "fps", "--model", "no_such_network", "mobile_baseline_1", "--batch", "1,2", "--seconds", "0.01",
                                "--device", "cpu", "--threads", "1", "--size", "64x48", "--json", "fps.json", status=1)
        self.assertIn("no_such_network", done.stderr)
        with open(self.path("fps.json"), encoding="utf-8") as file:
            report = json.load(file)
        self.assertEqual([failed["network"] for failed in report["failed"]], ["no_such_network"])
        self.assertEqual([(row["network"], row["width"], row["height"], row["batch"]) for row in report["rows"]],
                         [("mobile_baseline_1", 64, 48, 1), ("mobile_baseline_1", 64, 48, 2)])
        for row in report["rows"]:
            self.assertAlmostEqual(row["images_per_s"] * row["median_ms"], 1000 * row["batch"], places=6)
            self.assertAlmostEqual(row["arena_bytes_per_image"] * row["batch"], row["arena_bytes"], places=6)
            self.assertLessEqual(row["p10_ms"], row["median_ms"])
            self.assertLessEqual(row["median_ms"], row["p90_ms"])

    @unittest.skipUnless(os.path.exists("/dev/full"), "skipped: no /dev/full")
    def test_output_that_does_not_arrive_is_a_failure(self):
        for command in ((WEIGHTS, "list"), (WEIGHTS, "--help"), (DEPTH, "--help"),
                        (WEIGHTS, "export", "mobile_baseline_1"), (WEIGHTS, "inspect", "mobile_baseline_1", "--json")):
            with self.subTest(command=command), open("/dev/full", "w") as full:
                done = subprocess.run(command, cwd=self.folder, stdout=full, stderr=subprocess.PIPE, text=True)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                self.assertIn("cannot write the output", done.stderr)

    def test_left_and_right_are_not_exchanged(self):
        png(self.path("other.png"), 60, 90)
        for name, pair in (("a", (self.photo, "other.png")), ("b", ("other.png", self.photo))):
            self.run_program(DEPTH, pair[0], "--right", pair[1], "--model", "cnd_stereo_plain", "-o", name + ".png")
        # The depth picture has the left photograph's size.
        for name, width in (("a", 120), ("b", 60)):
            with open(self.path(name + ".png"), "rb") as file:
                self.assertEqual(struct.unpack(">II", file.read(24)[16:]), (width, 90))

    def test_depth_from_image_writes_all_that_is_asked_for(self):
        self.run_program(DEPTH, self.photo, "--model", "mobile_baseline_1", "-o", "d.png", "--raw", "d.pfm", "--raw16", "d16.png",
                         "--points", "d.ply", "--side-by-side", "both.png", "--colormap", "viridis", "--size", "160x128")
        with open(self.path("d.png"), "rb") as file:
            self.assertEqual(struct.unpack(">II", file.read(24)[16:]), (120, 90))
        with open(self.path("both.png"), "rb") as file:
            self.assertEqual(struct.unpack(">II", file.read(24)[16:])[0] >= 240, True)
        with open(self.path("d.pfm"), "rb") as file:
            kind, size, _, values = file.read().split(b"\n", 3)
        self.assertEqual((kind, size, len(values)), (b"Pf", b"120 90", 4 * 120 * 90))
        with open(self.path("d.ply"), "rb") as file:
            self.check_points(file.read(), struct.unpack("<10800f", values))
        with open(self.path("d16.png"), "rb") as file:
            data = file.read()
        self.assertEqual(data[24:26], b"\x10\x00")  # 16 bits, grey
        self.assertTrue(b"tEXtDescription\0depth in m = value / 1000; 0: none" in data)

    def check_points(self, data, depth):
        """Read as any viewer does, by the header: every point is seen at its pixel, in its colour, at its depth."""
        header, body = data.split(b"end_header\n", 1)
        lines = header.decode("ascii").split("\n")
        self.assertEqual(lines[:2], ["ply", "format binary_little_endian 1.0"])
        self.assertIn("comment unit m", lines)
        (count,) = [int(line.split()[2]) for line in lines if line.startswith("element vertex ")]
        kinds = {"float": "f", "uchar": "B"}
        names = [line.split()[2] for line in lines if line.startswith("property ")]
        layout = "<" + "".join(kinds[line.split()[1]] for line in lines if line.startswith("property "))
        self.assertEqual((count, len(body)), (10800, count * struct.calcsize(layout)))
        focal = 60 / math.tan(math.pi / 6)  # 60 degrees are 120 pixels
        for at, values in enumerate(struct.iter_unpack(layout, body)):
            point, column, row = dict(zip(names, values)), at % 120, at // 120
            self.assertAlmostEqual(-point["x"] / point["z"] * focal + 60, column + 0.5, delta=1e-3)
            self.assertAlmostEqual(point["y"] / point["z"] * focal + 45, row + 0.5, delta=1e-3)
            self.assertEqual(-point["z"], depth[(89 - row) * 120 + column])  # a PFM begins with the last row
            self.assertEqual((point["red"], point["green"], point["blue"]), (column * 255 // 120, row * 255 // 90, 128))

    def test_errors_of_depth_from_image(self):
        model = ["--model", "mobile_baseline_1"]
        with open(self.path("no.png"), "w") as file:
            file.write("not a picture")
        with open(self.path("cut.safetensors"), "wb") as file:
            file.write(b"\x40\0\0\0\0\0\0\0{\"a\":")
        with open(self.photo, "rb") as whole, open(self.path("cut.png"), "wb") as file:
            file.write(whole.read()[:-40])
        self.fails(DEPTH, "missing.png", *model, says=["missing.png"])
        self.fails(DEPTH, self.folder, *model, says=[self.folder, "depth_from_video"])
        self.fails(DEPTH, "no.png", *model, says=["no.png"])
        self.fails(DEPTH, "cut.png", *model, says=["cut.png"])
        self.fails(DEPTH, self.photo, "--model", "missing.safetensors", says=["missing.safetensors"])
        self.fails(DEPTH, self.photo, "--model", "cut.safetensors", says=["cut.safetensors"])
        self.fails(DEPTH, self.photo, "--model", "hr_dept", says=["'hr_dept'", "hr_depth", "fathom_weights list"])
        self.fails(DEPTH, self.photo, *model, "-o", "no/folder/d.png", says=["no/folder"])
        self.fails(DEPTH, self.photo, *model, "--device", "cuda", says=["GPU"])
        self.fails(DEPTH, self.photo, *model, "--device", "cpu", "--precision", "fp16", says=["fp16"])
        self.fails(DEPTH, self.photo, "--model", "lite_hr_depth", "--size", "640x200", says=["640x192", "640x224"])
        self.fails(DEPTH, self.photo, "--model", "cnd_stereo_plain", says=["2 photographs", "got 1"])
        self.fails(DEPTH, self.photo, *model, "--colormap", "mauve", says=["magma"])
        self.fails(DEPTH, self.photo, *model, "--size", "big", says=["640x192"], status=2)
        self.fails(DEPTH, self.photo, *model, "--size", "", says=["640x192"], status=2)
        self.fails(WEIGHTS, "export", "mobile_baseline_1", "--size", "", says=["640x192"], status=2)
        self.fails(DEPTH, self.photo, "--no-such-option", says=["--no-such-option"], status=2)
        self.fails(DEPTH, self.photo, *model, "-o", "d.jpg", says=["d.jpg", ".png"])
        self.fails(DEPTH, self.photo, *model, "-o", "depth.txt", says=["depth.txt", ".txt", ".png", ".pfm", ".ply"])
        self.fails(DEPTH, self.photo, *model, "--raw", "d.npy", says=["d.npy", ".pfm"])
        self.fails(DEPTH, self.photo, *model, "--points", "no/folder/d.ply", says=["no/folder"])
        self.fails(DEPTH, "", *model, says=["empty"])
        for value in ("nan", "inf", "0", "-1"):
            self.fails(DEPTH, self.photo, *model, "--budget", value, says=["--budget", value], status=2)
            self.fails(DEPTH, self.photo, *model, "--focal", value, says=["--focal", value], status=2)
        self.assertFalse(os.path.exists(self.path("depth.png")))

    def save(self, name, tensors, **metadata):
        header, data = {"__metadata__": metadata}, b""
        for key, kind, shape, raw in tensors:
            header[key] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
            data += raw
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(self.path(name), "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text + data)

    def test_inputs_that_are_no_photographs(self):
        """Two channels of two images of 2x3: y = 10 a + b, whatever the order in memory."""
        graph = {"version": 1, "inputs": [{"name": "x", "dtype": "f32", "channels": 2}], "outputs": [{"name": "y", "value": "y"}],
                 "nodes": [{"op": "Conv2d", "name": "c", "in": ["x"], "out": ["y"], "weight": "w"}]}
        self.save("m.safetensors", [("w", "F32", [1, 2, 1, 1], floats(10, 1))], **{"fathom.graph": json.dumps(graph)})
        a, b = [[k + 1 for k in range(6)], [k + 11 for k in range(6)]], [[7, 9, 4, 6, 5, 3], [1, 0, 2, 8, 3, 4]]
        values = ("input.x", "F32", [2, 2, 2, 3], floats(*a[0], *b[0], *a[1], *b[1]))
        y = [10 * p + q for image in (0, 1) for p, q in zip(a[image], b[image])]
        self.save("good", [values, ("output.y", "F32", [2, 1, 2, 3], floats(*y))])
        self.assertIn("agrees", self.run_program(WEIGHTS, "verify", "m.safetensors", "good").stdout)
        self.run_program(WEIGHTS, "run", "m.safetensors", "good", "out")
        with open(self.path("out"), "rb") as file:
            self.assertEqual(file.read()[-48:], floats(*y))
        for shape, kind, raw in (([2, 2, 3], "F32", floats(*a[0], *b[0])), ([1, 2, 3, 2], "U8", bytes(12))):
            self.save("bad", [("input.x", kind, shape, raw)])
            self.fails(WEIGHTS, "run", "m.safetensors", "bad", "out", says=["'input.x'", "f32 (N, C, H, W)", kind.lower()])
        self.save("bad", [("input.x", "F32", [1, 3, 2, 2], floats(*range(12)))])
        self.fails(WEIGHTS, "run", "m.safetensors", "bad", "out", says=["'input.x'", "3 channels", "takes 2"])

    def test_verify_misses_nothing(self):
        graph = {"version": 1, "inputs": [{"name": "image", "dtype": "u8"}], "outputs": [{"name": "y", "value": "y"}],
                 "nodes": [{"op": "Conv2d", "name": "c", "in": ["image"], "out": ["y"], "weight": "w"}]}
        self.save("m.safetensors", [("w", "F32", [1, 3, 1, 1], floats(1, 0, 0))], **{"fathom.graph": json.dumps(graph)})
        photo = ("input.image", "U8", [2, 2, 3], bytes([255] * 12))
        output = lambda name, shape, *values: ("output." + name, "F32", shape, floats(*values))
        for name, tensors in {
            "good": [output("y", [1, 1, 2, 2], 1, 1, 1, 1)],
            "nan": [output("y", [1, 1, 2, 2], 1, float("nan"), 1, 1)],
            "shape": [output("y", [1, 1, 1, 4], 1, 1, 1, 1)],
            "extra": [output("y", [1, 1, 2, 2], 1, 1, 1, 1), output("z", [1, 1, 2, 2], 1, 1, 1, 1)],
        }.items():
            self.save(name, tensors + [photo])
        self.save("zero", [output("y", [1, 1, 2, 2], 0, 0, 0, 0), ("input.image", "U8", [2, 2, 3], bytes(12))])
        for name in ("good", "zero"):
            self.assertIn("agrees", self.run_program(WEIGHTS, "verify", "m.safetensors", name).stdout)
        self.assertIn("DIFFERS", self.run_program(WEIGHTS, "verify", "m.safetensors", "nan", status=1).stdout)
        self.fails(WEIGHTS, "verify", "m.safetensors", "shape", says=["(1, 1, 1, 4)", "(1, 1, 2, 2)"])
        self.fails(WEIGHTS, "verify", "m.safetensors", "extra", says=["'z'", "it has y"])
        self.fails(WEIGHTS, "run", "m.safetensors", "good", "out", "--outputs", "y,q", says=["'q'", "it has y"])

    def test_model_files_are_made_shown_exported_run_and_verified(self):
        golden = os.path.join(ROOT, "tests", "golden", "mobile_baseline_1_240x320.safetensors")
        self.run_program(WEIGHTS, "synthesize", "mobile_baseline_1", "-o", "m.safetensors")
        self.assertIn("agrees", self.run_program(WEIGHTS, "verify", "m.safetensors", golden).stdout)
        self.run_program(WEIGHTS, "run", "m.safetensors", golden, "out.safetensors")
        plan = {}
        for fused in ("--fused", "--unfused"):
            plan[fused] = json.loads(self.run_program(WEIGHTS, "inspect", "m.safetensors", "--json", "--batch", "2", fused).stdout)
        self.assertLess(plan["--fused"]["launches"], plan["--unfused"]["launches"])
        self.assertEqual(plan["--fused"]["launches"], sum(step["launches"] for step in plan["--fused"]["steps"]))
        self.assertGreater(plan["--fused"]["floor_us"], 0)
        self.assertGreaterEqual(plan["--fused"]["arena_bytes"], plan["--fused"]["lower_bound_bytes"])
        alone = [step["alone"] for step in plan["--fused"]["steps"] if step["op"].startswith("Resize")]
        self.assertEqual(alone, ["the output's own enlargement"])
        self.assertIn("alone: the output's own", self.run_program(WEIGHTS, "inspect", "m.safetensors").stdout)
        self.assertFalse(any(step["alone"] for step in plan["--unfused"]["steps"]))
        graph = json.loads(self.run_program(WEIGHTS, "export", "m.safetensors").stdout)
        self.assertEqual(graph["version"], 1)
        self.fails(WEIGHTS, "export", "m.safetensors", "--budget", "0.0001", says=["m.safetensors", "budget"])
        self.run_program(WEIGHTS, "synthesize", "mobile_baseline_1", "--seed", "other", "-o", "n.safetensors")
        other = self.run_program(WEIGHTS, "verify", "n.safetensors", golden, status=1)
        self.assertIn("DIFFERS", other.stdout)
        self.fails(WEIGHTS, "verify", "m.safetensors", "missing.safetensors", says=["missing.safetensors"])
        self.fails(WEIGHTS, "verify", "m.safetensors", "m.safetensors", says=["output."])
        self.fails(WEIGHTS, "synthesize", "nothing", "-o", "x.safetensors", says=["nothing"])

    def test_an_architecture_that_does_not_fit_its_weights_names_all_of_them(self):
        self.run_program(WEIGHTS, "synthesize", "mobile_baseline_1", "-o", "m.safetensors")
        with open(self.path("m.safetensors"), "rb") as file:
            data = file.read()
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + size])
        header["surplus.weight"] = header.pop("decoder.head.weight")
        text = json.dumps(header).encode()
        with open(self.path("bad.safetensors"), "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text + data[8 + size :])
        with open(self.path("nan.safetensors"), "wb") as file:
            file.write(data[:-4] + struct.pack("<f", float("nan")))
        self.run_program(WEIGHTS, "inspect", "m.safetensors", "--finite")
        self.fails(WEIGHTS, "inspect", "nan.safetensors", "--finite", says=["nan.safetensors", "1 of", "not finite"])
        self.fails(WEIGHTS, "inspect", "bad.safetensors", says=["decoder.head.weight", "missing", "surplus.weight", "surplus"])

    def test_bench_measures_speed_and_memory(self):
        self.run_program(BENCH, "fps", "--model", "mobile_baseline_1", "--batch", "1,2", "--seconds", "0.05",
                         "--json", "fps.json", "--photo", self.photo)
        with open(self.path("fps.json")) as file:
            rows = json.load(file)["rows"]
        self.assertEqual((rows[0]["photo"]["width"], rows[0]["photo"]["height"], "photo" in rows[1]), (120, 90, False))
        self.assertTrue(rows[0]["photo"]["decode_ms"] > 0 and rows[0]["photo"]["depth_ms"] > 0)
        self.assertEqual([row["batch"] for row in rows], [1, 2])
        self.assertEqual({row["percent_of_floor"] for row in rows}, {None})  # nothing is known of a CPU
        self.assertEqual({row["inputs"] for row in rows}, {"warm"})
        self.run_program(BENCH, "fps", "--model", "mobile_baseline_1", "--seconds", "0.05", "--bandwidth", "10", "--peak", "0.1",
                         "--json", "floor.json")
        with open(self.path("floor.json")) as file:
            (row,) = json.load(file)["rows"]
        self.assertAlmostEqual(row["percent_of_floor"], 100 * row["floor_ms"] / row["median_ms"])
        self.assertGreater(row["floor_ms"], 0.2)  # 55 MFLOP at 100 GFLOP/s, at the least
        self.assertTrue(all(row["median_ms"] > 0 and row["p10_ms"] <= row["median_ms"] <= row["p90_ms"] for row in rows))
        self.run_program(BENCH, "memory", "--model", "mobile_baseline_1,umich_squeezenet", "--json", "memory.json")
        with open(self.path("memory.json")) as file:
            report = json.load(file)
        rows = report["rows"]
        self.assertEqual(set(rows[0]), {"network", "device", "precision", "width", "height", "batch", "sum_bytes",
                                        "lower_bound_bytes", "arena_bytes", "weight_bytes"})
        self.assertTrue(all(row["arena_bytes"] >= row["lower_bound_bytes"] > 0 for row in rows))
        self.assertEqual({row["device"] for row in rows}, {"cpu"})
        self.assertTrue(report["device_names"]["cpu"].startswith("CPU, "))
        self.run_program(BENCH, "memory", "--model", "mobile_baseline_1", "--device", "reference", "--json", "memory.json")
        with open(self.path("memory.json")) as file:
            self.assertEqual(json.load(file)["rows"][0]["device"], "reference")
        measured = {}
        for model in ("mobile_baseline_1", "monodepth2_resnet18"):
            self.run_program(BENCH, "memory", "--model", model, "--resident", "--json", "resident.json")
            with open(self.path("resident.json")) as file:
                row = json.load(file)["rows"][0]
            measured[model] = (row["peak_resident_bytes"], row["weight_bytes"] + row["arena_bytes"])
        library = measured["mobile_baseline_1"][0] - measured["mobile_baseline_1"][1]
        resident, needed = measured["monodepth2_resnet18"]
        self.assertLess(resident, 1.3 * (needed + library))
        for batches in ("1,x", "", "1,", "0", "1.5"):
            self.fails(BENCH, "fps", "--model", "mobile_baseline_1", "--batch", batches, says=["--batch"])

    def test_bench_finds_the_largest_batch_and_draws(self):
        self.run_program(BENCH, "fps", "--model", "mobile_baseline_1,pose_cnn", "--size", "64x64", "--batch", "2,max,1",
                         "--memory", "8MB", "--seconds", "0.01", "--json", "fps.json", "--plot", "fps.svg")
        with open(self.path("fps.json")) as file:
            report = json.load(file)
        self.assertEqual(report["memory_limit_bytes"], 8_000_000)
        batches = [row["batch"] for row in report["rows"]]
        self.assertEqual((batches[0], batches[2], batches[3], batches[5]), (2, 1, 2, 1))
        picture = 64 * 64 * 3 + 64 * 64 * 4
        largest = report["rows"][1]
        self.assertGreater(largest["batch"], 2)
        self.assertLessEqual(largest["weight_bytes"] + largest["arena_bytes"] + largest["batch"] * picture, 8_000_000)
        with open(self.path("fps.svg"), encoding="utf-8") as file:
            drawing = file.read()
        self.assertEqual(drawing.count("<polyline"), 2)
        for text in ("mobile_baseline_1</text>", "pose_cnn</text>", "CPU, ", f">{largest['batch']}</text>"):
            self.assertIn(text, drawing)
        refused = self.run_program(BENCH, "fps", "--model", "pose_cnn", "--batch", "max", "--memory", "1kB", status=1)
        self.assertIn("pose_cnn at 640x192: not even one image fits", refused.stderr)

    def test_bench_fills_a_papers_table(self):
        done = self.run_program(BENCH, "table", "mobile_baseline", "--model", "mobile_baseline_1", "--seconds", "0.01",
                                "--json", "table.json")
        with open(self.path("table.json")) as file:
            (table,) = json.load(file)["tables"]
        rows = {row["figure"]: row for row in table["rows"]}
        self.assertEqual((rows["ms"]["batch"], rows["ms"]["inputs"]), (1, "warm"))
        self.assertLessEqual(rows["ms"]["p10_ms"], rows["ms"]["p90_ms"])
        self.assertEqual(rows["mega_multiply_adds"]["paper"], 27.7)
        self.assertAlmostEqual(rows["mega_multiply_adds"]["ratio"], 1, 2)
        self.assertIsNone(rows["ms"]["paper"])
        self.assertGreater(rows["ms"]["here"], 0)
        self.assertRegex(done.stdout, r"mobile_baseline_1 +640x480 +27\.70 +27\.71 +1\.000")
        self.fails(BENCH, "table", "nothing", says=["'nothing'", "hr_depth"])
        self.fails(BENCH, "table", "cnd", "--model", "hr_depth", says=["no table that is asked for has a row 'hr_depth'"])
        done = self.run_program(BENCH, "table", "all", "--model", "cnd_micro_plain,mobile_baseline_1", "--seconds", "0.01",
                                "--json", "table.json")
        with open(self.path("table.json")) as file:
            self.assertEqual([table["table"] for table in json.load(file)["tables"]], ["cnd", "mobile_baseline"])
        self.assertEqual(done.stdout.count("here:  CPU, "), 2)

    def test_the_readme_shows_what_was_measured(self):
        self.run_program("python3", os.path.join(ROOT, "bench", "report.py"), "--check")

    def test_the_readme_commands_work(self):
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
            commands = re.findall(r"^ *(bash .*)$", file.read(), re.M)
        self.assertTrue(any(c.startswith("bash tests/run.sh ") for c in commands))  # it runs this test
        photo_commands = [c for c in commands if c.startswith("bash samples/run.sh") and "--model" not in c]
        self.assertTrue(photo_commands)
        for command in photo_commands:
            command = command.split("#")[0].replace("samples/run.sh", os.path.join(ROOT, "samples", "run.sh"))
            command = command.replace("PHOTO.jpg", self.photo)
            done = subprocess.run(["bash", "-c", command], cwd=self.folder, capture_output=True, text=True,
                                  env={**os.environ, "FATHOM_BUILD_DIR": os.path.relpath(BUILD, os.path.realpath(self.folder))})
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertTrue(os.path.getsize(self.path("depth.png")) > 1000)
            os.remove(self.path("depth.png"))

    @unittest.skipUnless(shutil.which("cmake"), "skipped: no cmake")
    def test_an_installed_package_is_used_by_another_project(self):
        prefix, build = self.path("installed"), self.path("consumer")
        self.run_program("cmake", "--install", BUILD, "--prefix", prefix)
        self.run_program("cmake", "-G", "Ninja", "-S", os.path.join(ROOT, "samples", "embedding"), "-B", build,
                         "-DCMAKE_PREFIX_PATH=" + prefix, "-DCMAKE_BUILD_TYPE=Release")
        self.run_program("cmake", "--build", build)
        self.run_program(WEIGHTS, "synthesize", "mobile_baseline_1", "-o", "m.safetensors")
        for program in ("depth_cpp", "depth_c"):
            self.assertIn("mobile_baseline_1 on CPU", self.run_program(os.path.join(build, program), "m.safetensors").stdout)
            self.assertEqual(subprocess.run([os.path.join(build, program), "missing"], capture_output=True).returncode, 1)


if __name__ == "__main__":
    unittest.main()
