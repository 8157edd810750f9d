#include "engine/json.hpp"

#include <algorithm>
#include <cstdio>
#include <vector>

#include "fathom/error.hpp"

namespace fathom {

using nlohmann::json;

namespace {
bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
}  // namespace

bool has_control_characters(std::string_view name) { return std::any_of(name.begin(), name.end(), is_control); }

std::string in_quotes(std::string_view name) {
  constexpr std::size_t longest = 120;
  std::string text = "'";
  for (std::size_t k = 0; k < name.size() && k < longest; ++k) {
    char escape[8] = {name[k]};
    if (is_control(name[k])) std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned>(name[k]));
    text += escape;
  }
  if (name.size() > longest) {
    while (static_cast<unsigned char>(text.back()) >= 0x80) text.pop_back();  // not the half of a UTF-8 character
    text += "...";
  }
  return text + "'";
}

namespace {

// Builds the document from the parser's events, which (unlike a document already built) still show duplicate keys and
// come before any memory is spent on what lies beyond the limits.
class Builder {
 public:
  Builder(const std::string& what, const JsonLimits& limits) : what_(what), limits_(limits) {}

  bool null() { return put(nullptr), true; }
  bool boolean(bool v) { return put(v), true; }
  bool number_integer(json::number_integer_t v) { return put(v), true; }
  bool number_unsigned(json::number_unsigned_t v) { return put(v), true; }
  bool number_float(json::number_float_t v, const std::string&) { return put(v), true; }
  bool string(std::string& v) { return put(std::move(v)), true; }
  bool binary(json::binary_t&) { return false; }
  bool start_object(std::size_t) { return open(json::object()), true; }
  bool start_array(std::size_t) { return open(json::array()), true; }
  bool end_object() { return open_.pop_back(), true; }
  bool end_array() { return open_.pop_back(), true; }

  bool key(std::string& name) {
    Level& level = open_.back();
    level.slot = nullptr;
    if (level.container->contains(name)) wrong("the key " + in_quotes(name) + " appears twice" + place());
    level.slot = &(*level.container)[name];
    level.key = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string& last_token, const json::exception&) {
    std::string near = last_token.substr(last_token.size() - std::min<std::size_t>(last_token.size(), 40));
    for (char& c : near)
      if (static_cast<unsigned char>(c) >= 0x80) c = '?';  // possibly no UTF-8, which an error text should be
    wrong("not valid JSON at byte " + std::to_string(position) + place() + ", after " + in_quotes(near));
  }

  json root;

 private:
  struct Level {
    json* container;
    json* slot = nullptr;  // of the key read last, in an object
    std::string key;
  };

  [[noreturn]] void wrong(const std::string& text) const { throw Error(ErrorKind::model, what_ + ": " + text); }

  json* put(json value) {
    if (++values_ > limits_.values) wrong("more than " + std::to_string(limits_.values) + " values" + place());
    if (open_.empty()) {
      root = std::move(value);
      return &root;
    }
    Level& level = open_.back();
    if (level.container->is_array()) {
      level.container->push_back(std::move(value));
      return &level.container->back();
    }
    *level.slot = std::move(value);
    return level.slot;
  }

  void open(json container) {
    if (open_.size() >= limits_.depth)
      wrong("nested deeper than " + std::to_string(limits_.depth) + " levels" + place());
    json* placed = put(std::move(container));
    open_.push_back({placed, nullptr, {}});
  }

  // " in 'nodes'[12].'stride'": the way from the root to where the parser stands.
  std::string place() const {
    std::string text;
    for (const Level& level : open_) {
      const bool innermost = &level == &open_.back();  // where the next entry is read; further out one is being read
      text += text.empty() ? " in " : "";
      if (level.container->is_array()) {
        text += '[';
        text += std::to_string(level.container->size() - (innermost ? 0 : 1)) + "]";
      } else if (level.slot) {
        text += text.ends_with(']') || text.ends_with('\'') ? "." : "";
        text += in_quotes(level.key);
      }
    }
    return text == " in " ? "" : text;
  }

  const std::string& what_;
  const JsonLimits& limits_;
  std::size_t values_ = 0;
  std::vector<Level> open_;
};

}  // namespace

json parse_json(std::string_view text, const std::string& what, const JsonLimits& limits) {
  if (text.size() > limits.bytes)
    throw Error(ErrorKind::model, what + ": " + std::to_string(text.size()) + " bytes of JSON, at most " +
                                      std::to_string(limits.bytes) + " are read");
  if (const std::size_t nul = text.find('\0'); nul != text.npos)  // the parser would take it for the end
    throw Error(ErrorKind::model, what + ": not valid JSON at byte " + std::to_string(nul + 1) + ", which is 0");
  Builder builder(what, limits);
  json::sax_parse(text.begin(), text.end(), &builder);
  return std::move(builder.root);
}

}  // namespace fathom
