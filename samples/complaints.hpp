// What libraries below us say on stderr, kept from the user's eyes.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <mutex>
#include <string>

namespace fathom {

// OpenCV and the libraries below it report trouble on stderr, each in its own way. While one of these lives, what
// arrives there is kept instead: it says nothing to users, but tells a damaged picture from a good one. Since stderr
// belongs to the whole process, there is one at a time.
class Complaints {
 public:
  Complaints() : lock_(one_at_a_time()), file_(std::tmpfile()), stderr_(file_ ? dup(STDERR_FILENO) : -1) {
    std::fflush(stderr);
    if (stderr_ >= 0) dup2(fileno(file_), STDERR_FILENO);
  }
  ~Complaints() {
    std::fflush(stderr);
    if (stderr_ >= 0) dup2(stderr_, STDERR_FILENO), close(stderr_);
    if (file_) std::fclose(file_);
  }
  Complaints(const Complaints&) = delete;
  Complaints& operator=(const Complaints&) = delete;

  std::string text() const {
    std::fflush(stderr);
    std::string text(4096, '\0');
    const ssize_t got = file_ ? pread(fileno(file_), text.data(), text.size(), 0) : 0;
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
  }

 private:
  static std::mutex& one_at_a_time() {
    static std::mutex mutex;
    return mutex;
  }

  std::lock_guard<std::mutex> lock_;
  std::FILE* file_;
  int stderr_;
};

}  // namespace fathom
