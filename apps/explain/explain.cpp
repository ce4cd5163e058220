#include "apps/commands.h"
#include "apps/console.h"
#include "apps/explain/op_docs.h"
#include "apps/json_file.h"
#include "apps/options.h"
#include "apps/spelling.h"

namespace orthoread {
namespace {

Json to_json(const OpDoc& doc) {
  return {{"name", doc.name},
          {"declarations", doc.declarations},
          {"what", doc.what},
          {"shapes", doc.shapes},
          {"derivative", doc.derivative},
          {"use", doc.use},
          {"header", doc.header},
          {"source", doc.source}};
}

/// Wraps the text to `width` characters after a heading, with hanging indent. Indented lines are formulas and stay as
/// they are.
std::string wrapped(const std::string& heading, const std::string& text) {
  constexpr size_t kIndent = 14, kWidth = 100;
  std::string out = fmt::format("{:<{}}", heading, kIndent);
  size_t column = kIndent;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (column > kIndent) {
      out += "\n" + std::string(kIndent, ' ');
      column = kIndent;
    }
    if (line.starts_with("  ")) {
      out += line;
      column += line.size();
      continue;
    }
    std::istringstream words(line);
    for (std::string word; words >> word;) {
      if (column > kIndent && column + 1 + word.size() > kWidth) {
        out += "\n" + std::string(kIndent, ' ');
        column = kIndent;
      }
      out += (column > kIndent ? " " : "") + word;
      column += word.size() + (column > kIndent ? 1 : 0);
    }
  }
  return out + "\n";
}

std::string to_text(const OpDoc& doc) {
  std::string text;
  for (const std::string& declaration : doc.declarations) text += declaration + "\n";
  return text + "\n" + wrapped("computes", doc.what) + wrapped("shapes", doc.shapes) +
         wrapped("derivative", doc.derivative) + wrapped("use it", doc.use) + wrapped("declared", doc.header) +
         wrapped("computed", doc.source);
}

/// The first sentence of what an op computes; the first words if it is long.
std::string first_sentence(const std::string& what) {
  const size_t stop = what.find(". ");
  std::string sentence = what.substr(0, std::min(stop == what.npos ? stop : stop + 1, what.find('\n')));
  constexpr size_t kLongest = 100;
  if (sentence.size() <= kLongest) return sentence;
  return sentence.substr(0, sentence.rfind(' ', kLongest)) + " …";
}

int explain(const std::string& op, bool json) {
  const std::vector<OpDoc> docs = op_docs();
  if (op.empty()) {
    Json list = Json::array();
    for (const OpDoc& doc : docs) {
      list.push_back(to_json(doc));
      if (!json) print_out("{:<18} {}\n", doc.name, first_sentence(doc.what));
    }
    if (json) print_out("{}\n", list.dump(2));
    return kDone;
  }
  std::vector<std::string> names;
  for (const OpDoc& doc : docs) {
    names.push_back(doc.name);
    if (doc.name != op) continue;
    print_out("{}", json ? to_json(doc).dump(2) + "\n" : to_text(doc));
    return kDone;
  }
  throw Error(fmt::format("explain: there is no op '{}'{}; orthoread explain lists them", op, meant(op, names)));
}

}  // namespace

void add_explain_command(Command& program) {
  auto common = std::make_shared<CommonOptions>();
  auto op = std::make_shared<std::string>();
  Command command = program.add_command("explain", "Explain an op: what it computes, its shapes, its derivative");
  command.add("OP", *op, "Name of the op").default_is("a list of all ops");
  common->add_without_kernels_to(command);
  command.footer("Example:\n  orthoread explain log_softmax");
  command.runs([common, op] {
    common->apply();
    return explain(*op, common->json);
  });
}

}  // namespace orthoread
