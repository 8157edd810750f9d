// JSON from strangers: parsed within limits, without duplicate keys, and every failure is one Error{model} that says
// where.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace fathom {

struct JsonLimits {
  std::size_t bytes = std::size_t{16} << 20;  // of the text
  std::size_t values = 2'000'000;             // numbers, strings, lists and objects together
  std::size_t depth = 16;                     // lists within objects within lists
};

// `what` begins every error: "model.safetensors: fathom.config".
nlohmann::json parse_json(std::string_view text, const std::string& what, const JsonLimits& limits = {});

// A name out of a file, fit for an error text: in quotes, control characters escaped, long ones cut.
std::string in_quotes(std::string_view name);

// Names are printed in errors, reports and JSON by many, so they have no control characters.
bool has_control_characters(std::string_view name);

}  // namespace fathom
