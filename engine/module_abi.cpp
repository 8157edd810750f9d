#include "engine/module_abi.hpp"

namespace fathom {

std::string module_abi() {
  std::string text = "Fathom " FATHOM_VERSION ", headers " FATHOM_ABI_HEADERS ", compiler " __VERSION__ ", C++ ";
  text += std::to_string(__cplusplus);
#ifdef _GLIBCXX_USE_CXX11_ABI
  text += ", strings " + std::to_string(_GLIBCXX_USE_CXX11_ABI);
#endif
#ifdef _GLIBCXX_DEBUG
  text += ", checked containers";
#endif
  return text;
}

}  // namespace fathom
