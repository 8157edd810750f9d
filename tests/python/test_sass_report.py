"""bench/sass_report.py reads machine code as cuobjdump prints it, and complains where it should."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

HEAD = """
	code for sm_{arch}
		Function : {symbol}
	.headerflags	@"EF_CUDA_SM90"
"""
CORE = "_ZN6fathom3gpu16conv_core_kernelINS0_13TensorProductINS0_7HalfMmaENS0_10BlockShapeILi64ELi64ELi2ELi2EEEEEEEvNS0_8ConvCoreE"
PLAIN = "_ZN6fathom3gpu13gather_kernelEv"


def code(*instructions):
    lines = []
    for k, text in enumerate(instructions):
        lines.append(f"        /*{16 * k:04x}*/                   {text} ;      /* 0x0000000a0d007c23 */")
        lines.append("                                                        /* 0x001fc80008000006 */")
    return "\n".join(lines) + "\n"


class SassReport(unittest.TestCase):
    def run_on(self, text, *options):
        """Exit status, output and JSON of the report on what a stand-in for cuobjdump prints."""
        with tempfile.TemporaryDirectory() as folder:
            listing, tool, result = (os.path.join(folder, name) for name in ("kernels.o", "cuobjdump", "report.json"))
            with open(listing, "w", encoding="utf-8") as file:
                file.write(text)
            with open(tool, "w", encoding="utf-8") as file:
                file.write('#!/bin/sh\n[ "$1" = -sass ] && cat "$2" || echo "release 13.1, V13.1.80"\n')
            os.chmod(tool, 0o755)
            command = [sys.executable, os.path.join(ROOT, "bench", "sass_report.py"), "--cuobjdump", tool, "--json", result]
            run = subprocess.run(command + [*options, listing], capture_output=True, text=True)
            report = {}
            if os.path.exists(result):
                with open(result, encoding="utf-8") as file:
                    report = json.load(file)
            return run.returncode, run.stdout + run.stderr, report

    def test_counts_and_passes(self):
        body = code("HMMA.16816.F32 R4, R8, R2, R4", "@!P0 LDGSTS.E.BYPASS.128 [R5], [R6.64]", "LDG.E.128.CONSTANT R8, [R2.64]",
                    "LDG.E R1, [R2.64]", "STG.E.128 [R2.64], R4", "LDSM.16.M88.4 R4, [R2]", "@P0 BRA 0x0", "EXIT")
        status, _, report = self.run_on(HEAD.format(arch=90, symbol=CORE) + body, "--check")
        self.assertEqual(status, 0)
        (kernel,) = report["kernels"]
        wanted = {"arch": "90", "instructions": 8, "hmma": 1, "ldgsts": 1, "ldg_128": 1, "ldg": 2, "stg": 1, "ldsm": 1, "local": 0,
                  "loop": 7, "in loop": 1}
        self.assertEqual({key: kernel[key] for key in wanted}, wanted)
        self.assertEqual(report["cuobjdump"], "13.1")

    def test_complains(self):
        text = HEAD.format(arch=80, symbol=CORE) + code("LDG.E R1, [R2.64]", "EXIT")
        text += HEAD.format(arch=80, symbol=PLAIN) + code("@P1 STL.64 [R1+0x8], R2", "EXIT")
        status, output, report = self.run_on(text, "--check")
        self.assertEqual(status, 1)
        for complaint in ("no HMMA", "neither LDGSTS nor 128-bit loads", "local memory is used, by 1 instructions"):
            self.assertIn(complaint, output)
        self.assertEqual(len(report["complaints"]), 3)
        self.assertEqual(self.run_on(text)[0], 0)  # without --check it only reports

    def loop_of(self, *instructions):
        status, output, report = self.run_on(HEAD.format(arch=90, symbol=CORE) + code("LDG.E.128 R8, [R2.64]", *instructions), "--check")
        (kernel,) = report["kernels"]
        return status, output, kernel["loop"], kernel["in loop"]

    def test_finds_the_leanest_loop(self):
        hmma = "HMMA.16816.F32 R4, R8, R2, R4"
        outer = [hmma, hmma, "NOP", "@!P0 BRA P1, 0x20", hmma, "BRA 0x0", "@P2 BRA `(.L_x)", "BRA 0xf0", "EXIT"]  # 0x20: the second HMMA
        self.assertEqual(self.loop_of(*outer)[2:], (3, 1))  # not the outer one, nor what a branch ahead passes over
        twice = ["NOP", "NOP", hmma, "BRA 0x10", hmma, hmma, "NOP", "BRA 0x50"]
        self.assertEqual(self.loop_of(*twice)[2:], (4, 2))
        self.assertEqual(self.loop_of(*twice)[0], 0)

    def test_complains_of_a_loop_full_of_other_things(self):
        hmma = "HMMA.16816.F32 R4, R8, R2, R4"
        for others, status in ((6, 0), (7, 1)):
            got, output, loop, inside = self.loop_of(hmma, *["IADD3 R1, R1, R2, RZ"] * others, "@P0 BRA 0x10")
            self.assertEqual((got, loop, inside), (status, others + 2, 1))
            self.assertEqual(status, "in the leanest loop" in output)
        self.assertEqual(self.loop_of(hmma, "EXIT")[0], 1)  # without any loop

    def test_says_what_is_missing(self):
        text = HEAD.format(arch=90, symbol=PLAIN) + code("EXIT")
        status, output, _ = self.run_on(text, "--arch", "80,90")
        self.assertNotEqual(status, 0)
        self.assertIn("no code for sm_80", output)


if __name__ == "__main__":
    unittest.main()
