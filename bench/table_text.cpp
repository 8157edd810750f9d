#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/table.hpp"

namespace fathom {

namespace {

std::string cell(double value, int digits) {
  if (!(value > 0)) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

// Each once, in the order of their first line.
std::vector<std::string> notes_of(const std::vector<TableLine>& lines) {
  std::vector<std::string> notes;
  for (const TableLine& line : lines)
    if (!line.note.empty() && std::find(notes.begin(), notes.end(), line.note) == notes.end())
      notes.push_back(line.note);
  return notes;
}

}  // namespace

std::string to_text(const PaperTable& table, const std::vector<TableLine>& lines, const std::string& here) {
  std::vector<Figure> figures = table.figures;
  figures.push_back({ratio_one, "times as many images/s at batch 1", 1, ""});
  figures.push_back({ratio_largest, "times as many images/s, each at its largest batch", 1, "--largest measures it"});
  std::string text =
      table.title + (table.machine.empty() ? "" : "\npaper: " + table.machine) + "\nhere:  " + here + "\n";
  const std::vector<std::string> notes = notes_of(lines);
  const auto number_of = [&](const std::string& note) {
    const auto number = std::find(notes.begin(), notes.end(), note) - notes.begin() + 1;
    return std::string("[").append(std::to_string(number)).append("]");
  };
  char row[160];
  for (const Figure& figure : figures) {
    std::vector<const TableLine*> own;
    for (const TableLine& line : lines)
      if (line.figure == figure.key) own.push_back(&line);
    if (own.empty()) continue;
    text += "\n" + figure.title + (figure.note.empty() ? "" : " - " + figure.note) + "\n";
    if (std::none_of(own.begin(), own.end(), [](const TableLine* l) { return l->here > 0 || !l->remark.empty(); })) {
      text += "  not measured\n";
      continue;
    }
    std::snprintf(row, sizeof row, "  %-40s %9s %10s %10s %10s  %s\n", "network", "size", "paper", "here", "here/paper",
                  "notes");
    text += row;
    for (const TableLine* line : own) {
      const std::string size = line->width ? std::to_string(line->width) + "x" + std::to_string(line->height) : "";
      std::snprintf(row, sizeof row, "  %-40s %9s %10s %10s %10s", line->network.c_str(), size.c_str(),
                    cell(line->paper, figure.digits).c_str(), cell(line->here, figure.digits).c_str(),
                    cell(line->ratio(), 3).c_str());
      text += row;
      if (!line->remark.empty()) text += "  " + line->remark;
      if (!line->note.empty()) text += "  " + number_of(line->note);
      text += "\n";
    }
  }
  if (!notes.empty()) text += "\n";
  for (const std::string& note : notes) text += number_of(note) + " " + note + "\n";
  return text;
}

std::string to_json(const PaperTable& table, const std::vector<TableLine>& lines) {
  using Json = nlohmann::ordered_json;
  const auto number = [](double v) { return v > 0 ? Json(v) : Json(nullptr); };
  Json json{{"table", table.name}, {"title", table.title}, {"paper_machine", table.machine}, {"rows", Json::array()}};
  for (const TableLine& line : lines) {
    Json row{{"network", line.network}};
    if (line.width) row["width"] = line.width, row["height"] = line.height;
    row["figure"] = line.figure;
    row["paper"] = number(line.paper), row["here"] = number(line.here), row["ratio"] = number(line.ratio());
    if (line.timing) {
      const Timing& t = *line.timing;
      row["batch"] = line.batch, row["median_ms"] = t.median_ms, row["p10_ms"] = t.p10_ms, row["p90_ms"] = t.p90_ms;
      row["runs"] = t.runs, row["inputs"] = t.inputs;
    }
    row["remark"] = line.remark, row["note"] = line.note;
    json["rows"].push_back(std::move(row));
  }
  return json.dump();
}

}  // namespace fathom
