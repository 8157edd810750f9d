// What a module that is opened at run time must agree on with whoever opens it, beside the sizes of what passes between
// the two: version, compiler, C++ library.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>

namespace fathom {

inline std::string module_abi(const char* version, std::initializer_list<std::size_t> sizes) {
  std::string text = std::string("Fathom ") + version + ", " + __VERSION__ + ", C++ " + std::to_string(__cplusplus);
#ifdef _GLIBCXX_USE_CXX11_ABI
  text += ", strings " + std::to_string(_GLIBCXX_USE_CXX11_ABI);
#endif
  for (const std::size_t size : sizes) text += ' ', text += std::to_string(size);
  return text;
}

}  // namespace fathom
