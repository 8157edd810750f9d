// Does the vocabulary do what its comments say? Each probe is a small kernel that uses one wrapper on random numbers.
// The same sources build for the GPU and for the emulator: what a GPU answers can be recorded, and the emulator's
// answers compared with it where no GPU is. Without a recording, a scalar reading of the PTX manual is the measure.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace fathom::conformance {

using Words = std::vector<std::uint32_t>;

enum class Input { halves, floats, bits };  // pairs of fp16, fp32, or any 32 bits

struct Probe {
  std::string name;
  int threads;
  Input input;
  int in_words, out_words;
  double tolerance;  // relative to the larger of 1 and the value, out being fp32; 0: bit for bit
  void (*kernel)(const std::uint32_t* in, std::uint32_t* out);
};

const std::vector<Probe>& probes();                    // conformance.cu
bool device_present();                                 // conformance.cu
Words run(const Probe& probe, const Words& in);        // conformance.cu: on the GPU or in the emulator
Words make_input(const Probe& probe);                  // reference.cpp: always the same numbers
Words reference(const Probe& probe, const Words& in);  // reference.cpp: one scalar step after another

}  // namespace fathom::conformance
