// Pictures, by gnuplot.
#pragma once

#include <string>

namespace orthoread {

/// Runs a gnuplot script, without its "set terminal" and "set output", and writes the picture to an .svg or .png file:
/// whole or not at all. Errors: another kind of file, gnuplot missing or failing, a path that cannot be written.
void plot(const std::string& path, const std::string& script);

}  // namespace orthoread
