#include "apps/report/page.h"

#include "apps/report/page_parts.h"

#include <algorithm>
#include <map>

namespace orthoread {
namespace {

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  std::string result;
  size_t begin = 0;
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, begin)) {
    result.append(text, begin, at - begin).append(to);
    begin = at + from.size();
  }
  text = result.append(text, begin);
}

/// Removes each part from `from` to `to`, both included.
void remove_parts(std::string& text, const std::string& from, const std::string& to) {
  std::string result;
  size_t begin = 0;
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, begin)) {
    const size_t end = text.find(to, at + from.size());
    if (end == std::string::npos) break;
    result.append(text, begin, at - begin);
    begin = end + to.size();
  }
  text = result.append(text, begin);
}

/// gnuplot's SVG, for the page: without ids, which would not be unique, with the page's colours, and without elements
/// that draw nothing (half of it).
std::string inlined(const Plot& plot) {
  std::string svg = plot.svg.substr(std::min(plot.svg.find("<svg"), plot.svg.size()));
  remove_parts(svg, "<desc>", "</desc>\n");
  remove_parts(svg, "<title>", "</title>\n");
  remove_parts(svg, "<defs>", "</defs>\n");
  remove_parts(svg, " id=\"", "\"");
  remove_parts(svg, "<rect x=\"0\" y=\"0\"", "/>\n");
  constexpr const char* kRgb[] = {"rgb(213,  94,   0)", "rgb(  0, 114, 178)", "rgb(  0, 158, 115)",
                                  "rgb(170,  68, 153)", "rgb( 86, 180, 233)", "rgb(230, 159,   0)",
                                  "rgb(102, 102, 102)"};
  for (size_t i = 0; i < std::size(kRgb); ++i) {
    for (const char quote : {'\'', '"'}) {
      const std::string color = quote + std::string(kRgb[i]) + quote;
      replace_all(svg, "stroke=" + color, fmt::format("class=\"s{}\"", i));
      replace_all(svg, "fill = " + color, fmt::format("class=\"f{}\"", i));
      replace_all(svg, "fill=" + color, fmt::format("class=\"f{}\"", i));
    }
  }
  replace_all(svg, "stroke='rgb(204, 204, 204)'", "class=\"grid\"");
  replace_all(svg, "class=\"gridline\"", "");
  replace_all(svg, "stroke='black'", "");
  replace_all(svg, "fill=\"black\"", "fill=\"currentColor\"");
  remove_parts(svg, " color=\"", "\"");
  remove_parts(svg, " font-family=\"", "\"");
  remove_parts(svg, "<tspan", ">");
  replace_all(svg, "</tspan>", "");
  replace_all(svg, " stroke-linecap=\"butt\" stroke-linejoin=\"miter\"", "");
  for (const char* space : {"\t", "\n\n"}) replace_all(svg, space, *space == '\t' ? "" : "\n");
  for (std::string before; before != svg;) {  // empty groups, the inner ones first
    before = svg;
    size_t begin = 0;
    std::string kept;
    for (size_t close = svg.find(">\n</g>\n"); close != std::string::npos; close = svg.find(">\n</g>\n", begin)) {
      const size_t open = svg.rfind('<', close);
      if (open < begin || open == std::string::npos || svg.compare(open, 2, "<g") != 0) {
        kept.append(svg, begin, close + 2 - begin);
        begin = close + 2;
        continue;
      }
      kept.append(svg, begin, open - begin);
      begin = close + 7;
    }
    svg = kept.append(svg, begin);
  }
  const size_t end = svg.find('>');
  std::string head = svg.substr(0, end);
  replace_all(head, "\n", "");
  remove_parts(head, " xmlns", "\"");
  remove_parts(head, "http", "\"");
  return fmt::format("{} role=\"img\" aria-label=\"{}\" font-family=\"system-ui, sans-serif\"{}", head,
                     escaped(plot.title + ". " + plot.caption), svg.substr(end));
}

std::string figure(const Plot& plot) {
  return fmt::format("<figure><h3>{}</h3>\n{}<figcaption>{}</figcaption></figure>\n", escaped(plot.title),
                     inlined(plot), escaped(plot.caption));
}

std::string list(const std::vector<std::string>& lines) {
  std::string html = "<ul>\n";
  for (const std::string& line : lines) html += fmt::format("<li>{}</li>\n", escaped(line));
  return html + "</ul>\n";
}

/// Whether a column holds words, which are left-aligned.
bool is_word(const Table& table, size_t column) {
  return std::none_of(table.rows.begin(), table.rows.end(),
                      [&](const auto& row) { return row[column].sort_by.is_number(); });
}

std::string to_html(const Table& table) {
  std::string html = fmt::format(
      "<section id=\"{}\"><h2>{}</h2>\n<div class=\"table\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">"
      "<table><thead><tr>",
      table.id, escaped(table.title), escaped(table.title));
  for (size_t i = 0; i < table.columns.size(); ++i) {
    html += fmt::format("<th scope=\"col\"{}><button type=\"button\">{}</button></th>",
                        is_word(table, i) ? " class=\"word\"" : "", escaped(table.columns[i]));
  }
  html += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    html += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      const TableCell& cell = row[i];
      html += fmt::format(
          "<td class=\"{}{}\"{}>{}</td>", is_word(table, i) ? "word" : "number", cell.marked ? " marked" : "",
          cell.sort_by.is_number() ? fmt::format(" data-v=\"{}\"", cell.sort_by.dump()) : "", escaped(cell.text));
    }
    html += "</tr>\n";
  }
  html += fmt::format("</tbody></table></div>\n<p class=\"how\">{}</p>\n", escaped(table.how));
  if (!table.warnings.empty()) {
    constexpr size_t kMostOpenLines = 5;
    html += fmt::format("<details{}><summary>Warnings ({})</summary>\n{}</details>\n",
                        table.warnings.size() <= kMostOpenLines ? " open" : "", table.warnings.size(),
                        list(table.warnings));
  }
  return html + "</section>\n";
}

std::string markdown_field(std::string text) {
  replace_all(text, "|", "\\|");
  return text;
}

}  // namespace

std::string to_html(const Document& document) {
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{0}</title>\n"
      "<style>{1}</style></head>\n<body><header><h1>{0}</h1>\n<div class=\"answer\">",
      escaped(document.title), kPageStyle);
  for (const std::string& sentence : document.answer) html += fmt::format("<p>{}</p>\n", escaped(sentence));
  html += "</div>\n";
  if (!document.missing.empty()) {
    constexpr size_t kMostOpenLines = 5;
    const bool open = document.missing.size() <= kMostOpenLines;
    html += fmt::format(
        "<details class=\"missing\"{}><summary><strong>What is missing</strong>{}</summary>\n{}</details>\n",
        open ? " open" : "", open ? "" : fmt::format(": {}", escaped(document.missing[0])), list(document.missing));
  }
  html += "<nav class=\"soft\"><p>";
  if (document.plots.size() > 1) html += "<a href=\"#plots\">Plots</a>";
  for (const Table& table : document.tables)
    html += fmt::format("<a href=\"#{}\">{}</a>", table.id, escaped(table.title));
  html += "</p></nav></header>\n<main>\n<div id=\"plots\">\n";

  // A section for each group; all but the first few are folded.
  constexpr int kMostOpen = 4;
  int groups = 0;
  for (size_t i = 0; i < document.plots.size();) {
    const std::string& group = document.plots[i].group;
    std::string figures;
    for (; i < document.plots.size() && document.plots[i].group == group; ++i) figures += figure(document.plots[i]);
    if (group.empty()) {
      html += "<div class=\"plots\">\n" + figures + "</div>\n";
      continue;
    }
    html +=
        ++groups <= kMostOpen
            ? fmt::format("<section><h2>{}</h2>\n<div class=\"plots\">\n{}</div></section>\n", escaped(group), figures)
            : fmt::format(
                  "<details><summary><strong>{}</strong></summary>\n<div class=\"plots\">\n{}</div></details>\n",
                  escaped(group), figures);
  }
  html += "</div>\n";
  for (const Table& table : document.tables) html += to_html(table);
  html += "</main>\n<footer class=\"soft\">";
  if (!document.shared.empty()) html += fmt::format("<p>Settings of all runs: {}.</p>\n", escaped(document.shared));
  html += fmt::format(
      "<p>In the same folder: report.md, results.csv (a row per run), comparison.json (every figure), "
      "plots.</p></footer>\n"
      "<script>{}</script></body></html>\n",
      kPageScript);
  return html;
}

std::string to_markdown(const Document& document) {
  std::string text = "# " + document.title + "\n\n";
  for (const std::string& sentence : document.answer) text += sentence + "\n\n";
  if (!document.missing.empty()) {
    text += "## What is missing\n\n";
    for (const std::string& line : document.missing) text += "- " + line + "\n";
    text += "\n";
  }
  std::string group;
  for (const Plot& plot : document.plots) {
    if (plot.group != group) text += "## " + plot.group + "\n\n";
    group = plot.group;
    text += fmt::format("![{}](plots/{}.svg)\n\n{}: {}\n\n", plot.title, plot.name, plot.title, plot.caption);
  }
  for (const Table& table : document.tables) {
    text += "## " + table.title + "\n\n|";
    for (const std::string& column : table.columns) text += fmt::format(" {} |", markdown_field(column));
    text += "\n|";
    for (size_t i = 0; i < table.columns.size(); ++i) text += is_word(table, i) ? " --- |" : " ---: |";
    for (const auto& row : table.rows) {
      text += "\n|";
      for (const TableCell& cell : row)
        text += fmt::format(" {0}{1}{0} |", cell.marked ? "**" : "", markdown_field(cell.text));
    }
    text += "\n\n" + table.how + "\n\n";
    for (const std::string& warning : table.warnings) text += "- " + warning + "\n";
    if (!table.warnings.empty()) text += "\n";
  }
  if (!document.shared.empty()) text += "Settings of all runs: " + document.shared + ".\n";
  replace_all(text, "<", "\\<");  // a name is no HTML
  return text;
}

}  // namespace orthoread
