// The ops of the library: the functions in the headers of ops/ that return tensors.
#pragma once

#include "data/files.h"

#include <filesystem>
#include <set>
#include <string>

namespace orthoread {

inline bool in_a_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// Their names. Operators are not listed: they have a named op. (The checker, ops/gradcheck, has no ops.)
inline std::set<std::string> declared_ops() {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(ORTHOREAD_SOURCE_DIR "/ops")) {
    if (entry.path().extension() != ".h" || entry.path().parent_path().filename() == "gradcheck") continue;
    const std::string text = read_file(entry.path());
    for (const std::string result : {"\nTensor<T> ", "\nstd::vector<Tensor<T>> "}) {
      for (size_t at = text.find(result); at != std::string::npos; at = text.find(result, at + 1)) {
        const size_t begin = at + result.size();
        size_t end = begin;
        while (in_a_name(text[end])) ++end;
        if (text[end] == '(') names.insert(text.substr(begin, end - begin));
      }
    }
  }
  return names;
}

}  // namespace orthoread
