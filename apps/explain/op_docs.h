// What the headers of ops/ say about each op, read from their doc comments.
//
// An op is a function that gives Tensor<T>, or a vector of them. The comment above it begins with what it computes, and
// goes on with paragraphs that begin with "Shapes:", "Derivative:" and "Use:". Declarations that follow one another
// without an empty line share the comment; a later one of the same name without a comment belongs to the first.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace orthoread {

struct OpDoc {
  std::string name;
  std::vector<std::string> declarations = {};  // without template and semicolon
  std::string what = {}, shapes = {}, derivative = {}, use = {};
  std::string header = {}, source = {};  // "ops/elementwise.h:24": where it is declared, and where it is computed
};

/// The text of ops/*.h and ops/*.cpp, by path. Written by embed.cmake when the program is built.
extern const std::map<std::string, std::string> kOpSources;

/// All ops of these files, in the order of the paths and, within a header, of the declarations.
std::vector<OpDoc> op_docs(const std::map<std::string, std::string>& files = kOpSources);

}  // namespace orthoread
