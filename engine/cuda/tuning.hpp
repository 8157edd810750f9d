// Choices of kernels that were timed on a GPU, kept in a text file: after a first line that says what it is, one choice
// a line, its parts between tabs: where (GPU, driver, version of Fathom), problem (with the versions of the libraries
// that were asked too), choice, microseconds. What was recorded elsewhere is kept and not used.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace fathom {

struct TimedChoice {
  std::string name;  // empty: none could be timed
  double microseconds = 0;
};

class Tuning {
 public:
  // Reads the file, if there is one. One that was not written by this class is left alone.
  Tuning(std::string path, std::string where);

  // The choice recorded for a problem; where there is none, or one that is not `known` any more, `measure` makes it,
  // and the file has it from then on. Thread-safe; one problem is measured at a time.
  TimedChoice choice(const std::string& problem, const std::function<bool(const std::string& choice)>& known,
                     const std::function<TimedChoice()>& measure);

  // Why the file was not read or written, or not wholly; empty: it was.
  std::string warning() const;

 private:
  void read();
  void write();

  const std::string path_, where_;
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, TimedChoice> choices_;  // by where and problem
  bool ours_ = true;                                                    // the file may be written
  std::string warning_;
};

}  // namespace fathom
