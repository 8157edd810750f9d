// Which files of a folder belong together, and what their numbers mean.
#include <algorithm>
#include <cctype>
#include <map>

#include "bench/accuracy.hpp"
#include "fathom/error.hpp"
#include "samples/npy.hpp"
#include "samples/pfm.hpp"

namespace fathom {
namespace {

namespace fs = std::filesystem;

std::string lower_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return extension;
}

}  // namespace

std::vector<AccuracyPair> find_pairs(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) throw Error(ErrorKind::file, folder.string() + ": no such folder");
  std::map<std::string, fs::path> photos;
  std::map<std::string, AccuracyPair> pairs;
  constexpr std::string_view ending = "_depth";
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string extension = lower_extension(entry.path());
    std::string name = entry.path().stem().string();
    const bool measured = name == "depth" || name.ends_with(ending);
    if (measured && (extension == ".png" || extension == ".npy")) {
      if (name != "depth") name.resize(name.size() - ending.size());
      const auto [found, added] = pairs.try_emplace(name, AccuracyPair{name, {}, entry.path()});
      if (!added)
        throw Error(ErrorKind::usage, folder.string() + " holds two depths of " + name + ": keep one of .png and .npy");
    } else if (extension == ".png" || extension == ".jpg" || extension == ".jpeg") {
      photos[name] = entry.path();
    }
  }
  if (error) throw Error(ErrorKind::file, "cannot read " + folder.string() + ": " + error.message());
  if (pairs.empty())
    throw Error(
        ErrorKind::usage,
        folder.string() +
            " holds no measured depth: it should be beside NAME.jpg or NAME.png as NAME_depth.png or NAME_depth.npy");
  std::vector<AccuracyPair> out;
  for (auto& [name, pair] : pairs) {
    if (const auto photo = photos.find(name); photo != photos.end()) pair.photo = photo->second;
    out.push_back(std::move(pair));
  }
  return out;
}

fs::path find_prediction(const fs::path& given, const AccuracyPair& pair, std::size_t pairs) {
  std::error_code ignored;
  if (!fs::exists(given, ignored)) throw Error(ErrorKind::file, given.string() + ": no such file or folder");
  if (!fs::is_directory(given, ignored)) {
    if (pairs == 1) return given;
    throw Error(ErrorKind::usage, given.string() + " is one prediction for " + std::to_string(pairs) +
                                      " measured depths: give a folder with a file NAME.npy, .pfm or .png for each");
  }
  for (const char* ending : {"", "_depth"})
    for (const char* extension : {".npy", ".pfm", ".png"})
      if (const fs::path path = given / (pair.name + ending + extension); fs::exists(path, ignored)) return path;
  throw Error(ErrorKind::file, given.string() + " holds no prediction for " + pair.name + ": there should be " +
                                   pair.name + ".npy, .pfm or .png");
}

FloatMap read_depth(const fs::path& path, double depth_scale, const Plane16Reader& read_png) {
  if (!(depth_scale > 0)) throw Error(ErrorKind::usage, "the depth scale must be above 0");
  const std::string extension = lower_extension(path);
  const auto divide = [&](float& v) { v = static_cast<float>(v / depth_scale); };
  if (extension == ".pfm") return read_pfm(path);
  if (extension == ".npy") {
    NpyMap npy = read_npy(path);
    if (npy.dtype[1] != 'f') std::for_each(npy.map.values.begin(), npy.map.values.end(), divide);
    return std::move(npy.map);
  }
  if (extension == ".png") {
    const Plane16 plane = read_png(path);
    FloatMap map{plane.width, plane.height, {plane.values.begin(), plane.values.end()}};
    std::for_each(map.values.begin(), map.values.end(), divide);
    return map;
  }
  throw Error(ErrorKind::usage, path.string() + ": depth is read from .png, .npy and .pfm files");
}

}  // namespace fathom
