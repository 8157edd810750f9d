#include "bench/recipe.hpp"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <thread>

#include "samples/files.hpp"

namespace fathom {

Json recipe(int argc, char** argv) {
  std::string command, cpu, line;
  for (int k = 0; k < argc; ++k) command += (k ? " " : "") + (k ? std::string(argv[k]) : std::string("fathom_bench"));
  for (std::ifstream info("/proc/cpuinfo"); std::getline(info, line);)
    if (line.starts_with("model name")) {
      cpu = line.substr(line.find(':') + 2);
      break;
    }
  char date[32];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%d", std::gmtime(&now));
  double load = 0;  // of other work, where this one has just begun
  getloadavg(&load, 1);
  return {{"date", date},
          {"machine", cpu},
          {"cores", std::thread::hardware_concurrency()},
          {"load_at_start", load},
          {"command", command}};
}

std::string load_text(const Json& recipe) {
  const double load = recipe["load_at_start"];
  char text[80] = "";
  if (load > 0.5)
    std::snprintf(text, sizeof text, "other work was running (load %.1f at the start): do not keep these times", load);
  return text;
}

void write_report(const std::string& path, const Json& report) {
  if (!path.empty()) write_file(path, report.dump(1) + "\n");
}

}  // namespace fathom
