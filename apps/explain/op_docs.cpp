#include "apps/explain/op_docs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <sstream>

namespace orthoread {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// "softplus" for "Tensor<T> softplus(const Tensor<T>& x);", and "" for a line that declares no op.
std::string declared_op(const std::string& line) {
  for (const std::string result : {"Tensor<T> ", "std::vector<Tensor<T>> "}) {
    if (!line.starts_with(result)) continue;
    size_t end = result.size();
    while (end < line.size() && (std::isalnum(static_cast<unsigned char>(line[end])) != 0 || line[end] == '_')) ++end;
    std::string name = line.substr(result.size(), end - result.size());
    if (end < line.size() && line[end] == '(' && name != "operator") return name;
  }
  return "";
}

/// The paragraphs of a comment, each joined into one line, except indented lines, which are formulas.
void read_comment(const std::vector<std::string>& comment, OpDoc& doc) {
  std::string* paragraph = &doc.what;
  bool after_formula = false;
  for (const std::string& line : comment) {
    std::string text = line.substr(std::min<size_t>(line.size(), 4));  // after "/// "
    for (const auto& [tag, field] : {std::pair{"Shapes: ", &doc.shapes}, std::pair{"Derivative: ", &doc.derivative},
                                     std::pair{"Use: ", &doc.use}}) {
      if (!text.starts_with(tag)) continue;
      paragraph = field;
      text = text.substr(std::string(tag).size());
    }
    const bool formula = text.empty() || text.starts_with("  ");
    if (!paragraph->empty()) *paragraph += formula || after_formula ? "\n" : " ";
    after_formula = formula;
    *paragraph += text;
  }
}

/// The declaration that starts at line `begin`, up to the semicolon or the body's brace, as one line.
std::string declaration(const std::vector<std::string>& lines, size_t begin) {
  std::string text;
  for (size_t i = begin; i < lines.size(); ++i) {
    text += (text.empty() ? "" : " ") + lines[i].substr(lines[i].find_first_not_of(' '));
    const size_t end = std::min(text.find(';'), text.find(") {"));  // {} is a default
    if (end != text.npos) return text.substr(0, end + (text[end] == ')' ? 1 : 0));
  }
  return text;
}

}  // namespace

std::vector<OpDoc> op_docs(const std::map<std::string, std::string>& files) {
  std::vector<OpDoc> docs;
  const auto find = [&](const std::string& name) {
    return std::find_if(docs.begin(), docs.end(), [&](const OpDoc& doc) { return doc.name == name; });
  };
  for (const auto& [path, text] : files) {
    if (!path.ends_with(".h")) continue;
    const std::vector<std::string> lines = lines_of(text);
    std::vector<std::string> comment;
    for (size_t i = 0; i < lines.size(); ++i) {
      if (lines[i].starts_with("///")) {
        if (i > 0 && !lines[i - 1].starts_with("///")) comment.clear();
        comment.push_back(lines[i]);
      }
      if (lines[i].empty()) comment.clear();
      const std::string name = declared_op(lines[i]);
      if (name.empty()) continue;
      auto doc = find(name);
      if (doc == docs.end()) {
        doc = docs.insert(docs.end(), OpDoc{.name = name, .header = fmt::format("{}:{}", path, i + 1)});
        read_comment(comment, *doc);
      }
      doc->declarations.push_back(declaration(lines, i));
    }
  }
  for (const auto& [path, text] : files) {
    if (!path.ends_with(".cpp")) continue;
    const std::vector<std::string> lines = lines_of(text);
    for (size_t i = 0; i < lines.size(); ++i) {
      const auto doc = find(declared_op(lines[i]));
      if (doc != docs.end() && doc->source.empty()) doc->source = fmt::format("{}:{}", path, i + 1);
    }
  }
  return docs;
}

}  // namespace orthoread
