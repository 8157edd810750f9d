// What a module that is opened at run time must agree on with whoever opens it: version, compiler, C++ library, and
// every header that what passes between the two is declared in (cmake/ModuleAbi.cmake).
#pragma once

#include <string>

namespace fathom {

std::string module_abi();  // "Fathom 0.1.0, headers 5d41402abc4b2a76, compiler 12.2.0, C++ 202002, strings 1"

}  // namespace fathom
