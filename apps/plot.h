// Plots, drawn by gnuplot.
#pragma once

#include "core/check.h"

#include <string>
#include <vector>

namespace orthoread {

/// gnuplot is not installed.
struct GnuplotMissing : Error {
  using Error::Error;
};

/// Runs a gnuplot script, which has no "set terminal" and "set output", and writes the picture, 760 pixels wide, to an
/// .svg or .png file, atomically. Errors: another file type, gnuplot missing or failing, a path that cannot be written.
void plot(const std::string& path, const std::string& script, int height = 480);

struct PlotScript {
  std::string script;
  int width, height;
};

/// The pictures of these scripts as SVG text, all drawn by one gnuplot. Text is literal, without gnuplot's markup.
/// Errors: gnuplot missing or failing.
std::vector<std::string> svg_plots(const std::vector<PlotScript>& scripts);

/// The text as a gnuplot string literal.
std::string plot_text(const std::string& text);

}  // namespace orthoread
