// Structs with `fields` to JSON and back: one visitor that reads, one that writes. Reading is strict (unknown keys,
// wrong types and numbers out of range are errors that name the key); what is not written keeps its default.
#pragma once

#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdlib>
#include <limits>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "engine/json.hpp"
#include "engine/ops.hpp"
#include "fathom/error.hpp"

namespace fathom {

// No size, stride or padding of a network comes near this; sums and products of such numbers fit into 64 bits.
inline constexpr std::int64_t largest_json_int = 1 << 24;

class JsonReader {
 public:
  // An object whose keys are those of T::fields or in `others`.
  template <class T>
  static void read_fields(const nlohmann::json& object, const std::string& where, T& to,
                          std::set<std::string> others = {}) {
    if (!object.is_object()) wrong(where, "is not an object");
    T::fields(to, [&](const char* key, auto& field) {
      others.insert(key);
      if (const auto found = object.find(key); found != object.end()) read(*found, where + ": '" + key + "'", field);
    });
    check_keys(object, where, others);
  }

  static void check_keys(const nlohmann::json& object, const std::string& where, const std::set<std::string>& known) {
    for (const auto& [key, value] : object.items()) {
      if (known.contains(key)) continue;
      std::string list;
      for (const std::string& k : known) list += (list.empty() ? "" : ", ") + k;
      wrong(where, "has an unknown key " + in_quotes(key) + "; known are: " + list);
    }
  }

  static void read(const nlohmann::json& value, const std::string& where, bool& to) {
    if (!value.is_boolean()) wrong(where, "is not true or false");
    to = value.get<bool>();
  }

  static void read(const nlohmann::json& value, const std::string& where, int& to) {
    if (!value.is_number_integer()) wrong(where, "is not a whole number");
    const double number = value.get<double>();
    if (std::fabs(number) > double(largest_json_int)) wrong(where, "is out of range: " + value.dump());
    to = value.get<int>();
  }

  static void read(const nlohmann::json& value, const std::string& where, float& to) {
    if (!value.is_number()) wrong(where, "is not a number");
    const double number = value.get<double>();
    if (!(std::fabs(number) <= double(std::numeric_limits<float>::max())))
      wrong(where, "is out of range: " + value.dump());
    to = static_cast<float>(number);
  }

  static void read(const nlohmann::json& value, const std::string& where, std::string& to) {
    if (!value.is_string()) wrong(where, "is not a text");
    to = value.get_ref<const std::string&>();
  }

  // 3 or [3, 5]
  static void read(const nlohmann::json& value, const std::string& where, Size2& to) {
    const std::vector<int> n = ints(value, where);
    if (n.size() > 2) wrong(where, "is neither a number nor [h, w]");
    to = n.size() == 1 ? Size2(n[0]) : Size2(n[0], n[1]);
  }

  // 1, [1, 2] or [1, 2, 1, 2]
  static void read(const nlohmann::json& value, const std::string& where, Padding& to) {
    const std::vector<int> n = ints(value, where);
    if (n.size() == 3) wrong(where, "is neither a number nor [h, w] nor [top, left, bottom, right]");
    to = n.size() == 1   ? Padding(n[0])
         : n.size() == 2 ? Padding(n[0], n[1], n[0], n[1])
                         : Padding(n[0], n[1], n[2], n[3]);
  }

  // "relu" or {"kind": "elu", "alpha": 0.5}
  static void read(const nlohmann::json& value, const std::string& where, Activation& to) {
    if (!value.is_string()) return read_fields(value, where, to);
    to = Activation{};
    read(value, where, to.kind);
  }

  template <class T>
  static void read(const nlohmann::json& value, const std::string& where, std::vector<T>& to) {
    constexpr std::size_t longest = 1024;
    if (!value.is_array()) wrong(where, "is not a list");
    if (value.size() > longest) wrong(where, "has " + std::to_string(value.size()) + " entries, at most 1024 are read");
    to.clear();
    for (const nlohmann::json& entry : value) {
      to.emplace_back();
      read(entry, where + "[" + std::to_string(to.size() - 1) + "]", to.back());
    }
  }

  template <class T>
  static void read(const nlohmann::json& value, const std::string& where, T& to) {
    if constexpr (std::is_enum_v<T>) {
      if (!value.is_string()) wrong(where, "is not a text");
      const auto& name = value.get_ref<const std::string&>();
      std::string list;
      for (std::size_t k = 0; k < enum_names<T>.size(); ++k) {
        if (name == enum_names<T>[k]) {
          to = static_cast<T>(k);
          return;
        }
        list += (list.empty() ? "" : ", ") + std::string(enum_names<T>[k]);
      }
      wrong(where, "is " + in_quotes(name) + ", expected one of: " + list);
    } else {
      read_fields(value, where, to);
    }
  }

  [[noreturn]] static void wrong(const std::string& where, const std::string& what) {
    throw Error(ErrorKind::model, where + " " + what);
  }

 private:
  // One number, or a list of two to four.
  static std::vector<int> ints(const nlohmann::json& value, const std::string& where) {
    std::vector<int> numbers(1);
    if (!value.is_array()) return read(value, where, numbers[0]), numbers;
    if (value.size() < 2 || value.size() > 4)
      wrong(where, "is a list of " + std::to_string(value.size()) + ", expected two or four numbers");
    numbers.resize(value.size());
    for (std::size_t k = 0; k < value.size(); ++k) read(value[k], where + "[" + std::to_string(k) + "]", numbers[k]);
    return numbers;
  }
};

class JsonWriter {
 public:
  using json = nlohmann::ordered_json;

  // Adds the members of `from` to an object, without those at their default if asked.
  template <class T>
  static void write_fields(const T& from, json& object, bool defaults) {
    json plain = json::object();
    if (!defaults) write_fields(T{}, plain, true);
    T::fields(from, [&](const char* key, const auto& field) {
      json value = write(field);
      if (defaults || value != plain[key]) object[key] = std::move(value);
    });
  }

  static json write(bool v) { return v; }
  static json write(int v) { return v; }
  static json write(const std::string& v) { return v; }
  // In as few digits as give the same float again: 0.1, not 0.10000000149011612.
  static json write(float v) {
    char digits[32];
    *std::to_chars(digits, digits + sizeof digits - 1, v).ptr = '\0';
    const double shortest = std::strtod(digits, nullptr);
    return static_cast<float>(shortest) == v ? shortest : static_cast<double>(v);
  }
  static json write(Size2 v) { return v.h == v.w ? json(v.h) : json{v.h, v.w}; }
  static json write(const Padding& p) {
    if (p == Padding(p.top)) return p.top;
    return json{p.top, p.left, p.bottom, p.right};
  }
  static json write(const Activation& a) {
    if (a.alpha == Activation{}.alpha) return write(a.kind);
    return json{{"kind", write(a.kind)}, {"alpha", write(a.alpha)}};
  }
  template <class T>
  static json write(const std::vector<T>& list) {
    json array = json::array();
    for (const T& entry : list) array.push_back(write(entry));
    return array;
  }
  template <class T>
  static json write(const T& v) {
    if constexpr (std::is_enum_v<T>) {
      return enum_names<T>[static_cast<std::size_t>(v)];
    } else {
      json object = json::object();
      write_fields(v, object, false);
      return object;
    }
  }
};

}  // namespace fathom
