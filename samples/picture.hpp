// Pictures in files, through OpenCV: the only place that knows it.
#pragma once

#include <filesystem>
#include <string>

#include "fathom/image.hpp"
#include "samples/plane16.hpp"

namespace fathom {

// Any picture that OpenCV reads, as 8-bit RGB. Grey becomes three equal channels; 16 bits are scaled by 255 / 65535;
// floating point (0 to 1, linear light) is clipped and given sRGB's curve; transparent pixels show white behind them;
// the orientation that a camera noted (EXIF) is applied. Throws Error{file} when the file cannot be read and
// Error{image}, naming it, when it holds no picture, a picture that is cut off, or one of more than 2^28 pixels.
Image read_picture(const std::filesystem::path& path);

// One channel of 8 or 16 bits as it stands, as depth pictures have it. Throws as read_picture, and for colour pictures.
Plane16 read_plane16(const std::filesystem::path& path);

// Each either writes the whole file or throws Error{file} and leaves what stood there (see files.hpp). A description
// goes into the file as its text "Description".
void write_png(const std::filesystem::path& path, const ImageView& image);
void write_png(const std::filesystem::path& path, const Plane16& plane, const std::string& description = "");

}  // namespace fathom
