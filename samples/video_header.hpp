// What a video file says of its own length: decoders read what there is and are silent about what is missing.
#pragma once

#include <filesystem>

namespace fathom {

// True where the outermost pieces of an AVI, MP4, MOV, Matroska or WebM file reach past its end. False for other files.
bool is_cut_off(const std::filesystem::path& path);

}  // namespace fathom
