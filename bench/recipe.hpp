// What a number needs to be believed: machine, date, command. Every report begins with it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace fathom {

using Json = nlohmann::ordered_json;

Json recipe(int argc, char** argv);

// Times are worth keeping only where the machine had nothing else to do; empty where it had not.
std::string load_text(const Json& recipe);

// Nowhere, if the path is empty.
void write_report(const std::string& path, const Json& report);

}  // namespace fathom
