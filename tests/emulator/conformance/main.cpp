// conformance                 compares every wrapper's answers with the scalar reference
// conformance --record FILE   also writes them, to be compared with elsewhere
// conformance --compare FILE  compares with what another device wrote
// Exit status: 0 all agree, 1 some do not, 2 a file cannot be read or written, 77 no device here.
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <stdexcept>

#include "tests/emulator/conformance/conformance.hpp"

namespace fathom::conformance {
namespace {

// A text file: per probe a line `name count`, then the words in hexadecimal.
using Recording = std::map<std::string, Words>;

Recording read_recording(const std::string& path) {
  std::ifstream file(path);
  Recording recording;
  std::string name;
  std::size_t count = 0;
  while (file >> name >> std::dec >> count) {
    if (count > 100000) throw std::runtime_error(path + ": " + name + " has too many words");
    Words words(count);
    for (std::uint32_t& word : words) file >> std::hex >> word;
    if (!file) throw std::runtime_error(path + ": ends inside " + name);
    recording[name] = words;
  }
  if (recording.empty()) throw std::runtime_error(path + ": no recording");
  return recording;
}

void write_recording(const std::string& path, const Recording& recording) {
  std::ofstream file(path);
  for (const auto& [name, words] : recording) {
    file << name << ' ' << std::dec << words.size() << std::hex;
    for (std::size_t i = 0; i < words.size(); ++i) file << (i % 12 == 0 ? '\n' : ' ') << words[i];
    file << '\n';
  }
  file.close();
  if (!file) throw std::runtime_error(path + ": cannot be written");
}

bool agree(std::uint32_t got, std::uint32_t wanted, double tolerance) {
  if (got == wanted) return true;
  const double x = std::bit_cast<float>(got), y = std::bit_cast<float>(wanted);
  return tolerance > 0 && std::fabs(x - y) <= tolerance * std::fmax(1, std::fabs(y));  // NaN does not agree
}

bool compare(const Probe& probe, const Words& got, const Words& wanted, const char* with) {
  std::size_t wrong = got.size() == wanted.size() ? 0 : 1, first = 0;
  for (std::size_t i = 0; i < got.size() && i < wanted.size(); ++i) {
    if (agree(got[i], wanted[i], probe.tolerance)) continue;
    if (wrong++ == 0) first = i;
  }
  if (wrong == 0) return true;
  std::printf("%s: %zu of %zu words differ from the %s; word %zu is %08x, expected %08x\n", probe.name.c_str(), wrong,
              got.size(), with, first, got.at(first), wanted.at(first));
  return false;
}

int run_all(const std::string& mode, const std::string& path) {
  if (!device_present()) return std::printf("skipped: no device\n"), 77;
  Recording answers, theirs;
  if (mode == "--compare") theirs = read_recording(path);
  bool good = true;
  for (const Probe& probe : probes()) {
    const Words in = make_input(probe), out = run(probe, in);
    good &= compare(probe, out, reference(probe, in), "reference");
    if (mode == "--compare") good &= compare(probe, out, theirs.at(probe.name), "recording");
    answers[probe.name] = out;
  }
  if (mode == "--record") write_recording(path, answers);
  std::printf("%zu wrappers %s\n", answers.size(), good ? "agree" : "were compared, some disagree");
  return good ? 0 : 1;
}

}  // namespace
}  // namespace fathom::conformance

int main(int argc, char** argv) {
  const std::string mode = argc == 3 ? argv[1] : "";
  if (argc != 1 && mode != "--record" && mode != "--compare") {
    return std::fprintf(stderr, "usage: conformance [--record FILE | --compare FILE]\n"), 2;
  }
  try {
    return fathom::conformance::run_all(mode, argc == 3 ? argv[2] : "");
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "conformance: %s\n", error.what()), 2;
  }
}
