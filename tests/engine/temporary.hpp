// A folder that vanishes with its test, and a matcher for errors.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "fathom/error.hpp"
#include "tests/catch.hpp"

namespace fathom {

struct TemporaryFolder {
  std::string path;

  TemporaryFolder() : path((std::filesystem::temp_directory_path() / "fathom-XXXXXX").string()) {
    if (!mkdtemp(path.data())) throw std::runtime_error("no temporary folder: " + path);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string operator/(const std::string& name) const { return path + "/" + name; }
};

#if __has_include(<catch2/catch_all.hpp>)
using ErrorMatcher = Catch::Matchers::MatcherBase<Error>;
#else
using ErrorMatcher = Catch::MatcherBase<Error>;
#endif

// An Error of this kind, one line long, whose text contains all these parts.
class Fails : public ErrorMatcher {
 public:
  Fails(ErrorKind kind, std::vector<std::string> parts) : kind_(kind), parts_(std::move(parts)) {}
  bool match(const Error& error) const override {
    const std::string text = error.what();
    bool fine = error.kind() == kind_ && text.find('\n') == std::string::npos && text.size() < 2000;
    for (const std::string& part : parts_) fine = fine && text.find(part) != std::string::npos;
    return fine;
  }
  std::string describe() const override {
    std::string text = "is an error of kind " + std::to_string(static_cast<int>(kind_)) + " that names";
    for (const std::string& part : parts_) text += " [" + part + "]";
    return text;
  }

 private:
  ErrorKind kind_;
  std::vector<std::string> parts_;
};

}  // namespace fathom

// Shows the error's text where a matcher fails.
template <>
struct Catch::StringMaker<fathom::Error> {
  static std::string convert(const fathom::Error& e) {
    return "kind " + std::to_string(static_cast<int>(e.kind())) + ": " + e.what();
  }
};
