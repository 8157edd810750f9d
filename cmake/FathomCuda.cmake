# Says whether this build has a CUDA backend. There is none yet: everything runs on the CPU.
include(CheckLanguage)
check_language(CUDA)
if(CMAKE_CUDA_COMPILER)
  message(STATUS "Fathom: CUDA compiler found, but the CUDA backend is not part of this version; building for the CPU")
else()
  message(STATUS "Fathom: no CUDA compiler found; building for the CPU")
endif()
