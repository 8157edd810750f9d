// What the bytes of a picture file say before anything is decoded: decoders trust sizes, and make up what is cut off.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace fathom {

struct PictureHeader {
  std::string format;      // "PNG", "JPEG", "WebP", "TIFF", "BMP"; empty: none of these
  std::int64_t width = 0;  // 0: not found
  std::int64_t height = 0;
  bool whole = true;    // false: the file ends before the picture does
  int orientation = 1;  // EXIF: 1 to 8, 1 is upright
};

PictureHeader picture_header(std::span<const std::uint8_t> bytes);

// A PNG without the chunks that its pixels do not need (colour profiles, texts, times): libpng complains of odd ones on
// stderr, and a broken one would spoil a good picture.
std::vector<std::uint8_t> bare_png(std::span<const std::uint8_t> bytes);

// The same PNG with a text chunk (Latin-1) before its pixels.
std::vector<std::uint8_t> with_text(std::span<const std::uint8_t> png, const std::string& keyword,
                                    const std::string& text);

}  // namespace fathom
