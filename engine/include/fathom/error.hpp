// What goes wrong, as one typed exception. The text is one sentence that names the offending part and says what to do.
#pragma once

#include <stdexcept>
#include <string>

namespace fathom {

enum class ErrorKind {
  usage,        // an argument or option makes no sense
  file,         // missing, unreadable, truncated
  model,        // a model file that is not well-formed, or whose weights do not fit its architecture
  shape,        // tensors or sizes that do not go together
  image,        // not a picture, or one that cannot be used
  device,       // no GPU, driver trouble, a kernel that failed
  memory,       // out of memory, or over the budget
  unsupported,  // a combination that the backend does not offer (fp16 on the CPU)
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& text) : std::runtime_error(text), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace fathom
