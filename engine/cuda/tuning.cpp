#include "engine/cuda/tuning.hpp"

#include <unistd.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

namespace fathom {

namespace {

constexpr const char* head = "Fathom: kernels chosen by timing";
constexpr std::uintmax_t most_bytes = 64 << 20;

// where, problem, choice, microseconds; nothing where a line is not that.
std::optional<std::array<std::string, 4>> parts_of(const std::string& line) {
  std::array<std::string, 4> parts;
  std::size_t from = 0;
  for (std::size_t k = 0; k < parts.size(); ++k) {
    const std::size_t end = k + 1 < parts.size() ? line.find('\t', from) : line.size();
    if (end == std::string::npos) return {};
    parts[k] = line.substr(from, end - from), from = end + 1;
    if (parts[k].empty()) return {};
  }
  return parts;
}

std::optional<double> number(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value > 0) || !std::isfinite(value)) return {};
  return value;
}

}  // namespace

Tuning::Tuning(std::string path, std::string where) : path_(std::move(path)), where_(std::move(where)) { read(); }

std::string Tuning::warning() const {
  const std::lock_guard lock(mutex_);
  return warning_;
}

void Tuning::read() {
  std::error_code none;
  if (!std::filesystem::exists(path_, none)) return write();  // so that it is known from the start whether it can be
  std::ifstream file(path_);
  std::string line;
  const bool readable = std::filesystem::is_regular_file(path_, none) && std::getline(file, line);
  if (!readable || line != head || std::filesystem::file_size(path_, none) > most_bytes) {
    ours_ = false;
    warning_ = "tuning: '" + path_ + "' is no file of timed kernels and is left as it is: what is timed is not kept";
    return;
  }
  int bad = 0;
  while (std::getline(file, line)) {
    const auto parts = parts_of(line);
    const std::optional<double> microseconds = parts ? number((*parts)[3]) : std::nullopt;
    if (microseconds && !file.eof())
      choices_[{(*parts)[0], (*parts)[1]}] = {(*parts)[2], *microseconds};
    else
      ++bad;
  }
  if (bad > 0)
    warning_ = "tuning: " + std::to_string(bad) + (bad == 1 ? " line" : " lines") + " of '" + path_ +
               "' cannot be read; what they chose is timed anew";
}

void Tuning::write() {
  if (!ours_) return;
  std::ostringstream text;
  text << head << '\n';
  for (const auto& [key, choice] : choices_)
    text << key.first << '\t' << key.second << '\t' << choice.name << '\t' << choice.microseconds << '\n';
  const std::string part = path_ + "." + std::to_string(getpid()) + ".part";
  std::error_code failed;
  {
    std::ofstream file(part, std::ios::binary);
    file << text.str();
    file.close();
    if (!file) failed = std::make_error_code(std::errc::io_error);
  }
  if (!failed) std::filesystem::rename(part, path_, failed);
  if (!failed) return;
  std::error_code none;
  std::filesystem::remove(part, none);
  ours_ = false;
  warning_ = "tuning: '" + path_ + "' cannot be written: what is timed is not kept";
}

TimedChoice Tuning::choice(const std::string& problem, const std::function<bool(const std::string&)>& known,
                           const std::function<TimedChoice()>& measure) {
  const std::lock_guard lock(mutex_);
  const auto found = choices_.find({where_, problem});
  if (found != choices_.end() && known(found->second.name)) return found->second;
  const TimedChoice made = measure();
  if (made.name.empty()) return made;
  choices_[{where_, problem}] = made;
  write();
  return made;
}

}  // namespace fathom
