#include "engine/image.hpp"

#include <new>
#include <string>

#include "engine/resample.hpp"
#include "fathom/error.hpp"

namespace fathom {
namespace {

std::string size_text(int width, int height) { return std::to_string(width) + "x" + std::to_string(height); }

}  // namespace

Image::Image(int w, int h) : width(w), height(h) {
  if (w < 1 || h < 1) throw Error(ErrorKind::image, "a picture of " + size_text(w, h) + " pixels has nothing in it");
  try {
    rgb.resize(static_cast<std::size_t>(w) * static_cast<std::size_t>(h) * 3);
  } catch (const std::exception&) {  // bad_alloc or length_error
    throw Error(ErrorKind::memory, "no memory for a picture of " + size_text(w, h) + " pixels");
  }
}

ImageView::ImageView(const Image& image) : ImageView(image.rgb.data(), image.width, image.height) {
  if (image.width < 1 || image.height < 1 ||
      image.rgb.size() != static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3)
    throw Error(ErrorKind::image, "a picture of " + size_text(image.width, image.height) +
                                      " pixels needs 3 bytes each, not " + std::to_string(image.rgb.size()) +
                                      " in all");
}

void check(const ImageView& image) {
  if (image.width < 1 || image.height < 1)
    throw Error(ErrorKind::image, "a picture of " + size_text(image.width, image.height) + " pixels has nothing in it");
  if (!image.data)
    throw Error(ErrorKind::image, "a picture of " + size_text(image.width, image.height) + " pixels has no data");
  const std::int64_t row_bytes = std::int64_t{3} * image.width;
  if (image.height > 1 && image.row_stride_bytes < row_bytes && image.row_stride_bytes > -row_bytes)
    throw Error(ErrorKind::image, "rows of " + std::to_string(image.width) + " pixels take " +
                                      std::to_string(row_bytes) + " bytes, but are said to lie " +
                                      std::to_string(image.row_stride_bytes) + " bytes apart");
}

PixelSize resized_size(const ModelConfig& config, PixelSize photo) {
  return config.resize == PhotoResize::none ? photo : PixelSize{config.input_width, config.input_height};
}

PixelSize network_size(const ModelConfig& config, PixelSize photo) {
  const PixelSize resized = resized_size(config, photo);
  return {config.crop_width > 0 ? config.crop_width : resized.width,
          config.crop_height > 0 ? config.crop_height : resized.height};
}

Image preprocess(const ImageView& photo, const ModelConfig& config, int threads) {
  check(photo);
  const PixelSize size{photo.width, photo.height};
  const PixelSize resized = resized_size(config, size), seen = network_size(config, size);
  const Filter filter = config.resize == PhotoResize::bilinear ? Filter::bilinear : Filter::lanczos;
  if (seen == resized) return resize_antialiased(photo, resized.width, resized.height, filter, threads);
  if (resized == size) return centre_crop(photo, seen.width, seen.height);
  return centre_crop(resize_antialiased(photo, resized.width, resized.height, filter, threads), seen.width,
                     seen.height);
}

}  // namespace fathom
