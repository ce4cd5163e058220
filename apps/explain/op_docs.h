// The documentation of each op, read from the doc comments in the headers of ops/.
//
// An op is a function that returns a Tensor<T> or a vector of them. Its comment begins with what it computes and
// continues with paragraphs that begin with "Shapes:", "Derivative:" and "Use:". Consecutive declarations without an
// empty line share the comment; a later one of the same name without a comment belongs to the first.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace orthoread {

struct OpDoc {
  std::string name;
  std::vector<std::string> declarations = {};  // without "template" and semicolon
  std::string what = {}, shapes = {}, derivative = {}, use = {};
  std::string header = {}, source = {};  // of the declaration and the definition: "ops/elementwise.h:24"
};

/// The text of ops/*.h and ops/*.cpp, by path. embed.cmake writes it during the build.
extern const std::map<std::string, std::string> kOpSources;

/// All ops of these files, in the order of the paths and of the declarations.
std::vector<OpDoc> op_docs(const std::map<std::string, std::string>& files = kOpSources);

}  // namespace orthoread
