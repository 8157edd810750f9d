# The four parts of OpenCV that reading pictures and video needs, as imported targets opencv_core, opencv_imgproc,
# opencv_imgcodecs and opencv_videoio. By OpenCV's own configuration where it is installed, else by hand: Debian's
# component packages (libopencv-imgcodecs-dev and the like) come without one. Hints: OpenCV_DIR, OpenCV_ROOT.
# videoio is optional (OpenCVParts_videoio_FOUND).
set(_parts core imgproc imgcodecs)
find_package(OpenCV QUIET CONFIG COMPONENTS ${_parts} OPTIONAL_COMPONENTS videoio)
if(OpenCV_FOUND)
  set(OpenCVParts_VERSION ${OpenCV_VERSION})
  set(OpenCVParts_core ${OpenCV_CONFIG_PATH})
else()
  find_path(OpenCVParts_INCLUDE NAMES opencv2/imgcodecs.hpp PATH_SUFFIXES opencv4)
  foreach(_part ${_parts} videoio)
    find_library(OpenCVParts_${_part} NAMES opencv_${_part})
    mark_as_advanced(OpenCVParts_${_part})
    if(OpenCVParts_INCLUDE AND OpenCVParts_${_part} AND EXISTS ${OpenCVParts_INCLUDE}/opencv2/${_part}.hpp AND NOT TARGET opencv_${_part})
      add_library(opencv_${_part} UNKNOWN IMPORTED)
      set_target_properties(opencv_${_part} PROPERTIES IMPORTED_LOCATION ${OpenCVParts_${_part}}
                            INTERFACE_INCLUDE_DIRECTORIES ${OpenCVParts_INCLUDE})  # SYSTEM, as of every imported target
    endif()
  endforeach()
  if(OpenCVParts_INCLUDE AND EXISTS ${OpenCVParts_INCLUDE}/opencv2/core/version.hpp)
    file(STRINGS ${OpenCVParts_INCLUDE}/opencv2/core/version.hpp _lines REGEX "^#define CV_VERSION_(MAJOR|MINOR|REVISION) +[0-9]+")
    string(REGEX REPLACE "[^0-9;]" "" _numbers "${_lines}")
    list(JOIN _numbers "." OpenCVParts_VERSION)
  endif()
endif()

set(OpenCVParts_parts TRUE)
foreach(_part ${_parts} videoio)
  if(TARGET opencv_${_part})
    set_target_properties(opencv_${_part} PROPERTIES IMPORTED_GLOBAL TRUE)  # the tests are in another folder
  elseif(NOT _part STREQUAL "videoio")
    set(OpenCVParts_parts FALSE)
  endif()
endforeach()
set(OpenCVParts_videoio_FOUND FALSE)
if(TARGET opencv_videoio)
  set(OpenCVParts_videoio_FOUND TRUE)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenCVParts REQUIRED_VARS OpenCVParts_core OpenCVParts_parts VERSION_VAR OpenCVParts_VERSION)
mark_as_advanced(OpenCVParts_INCLUDE)
