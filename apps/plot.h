// Pictures, by gnuplot.
#pragma once

#include <string>
#include <vector>

namespace orthoread {

/// Runs a gnuplot script, without its "set terminal" and "set output", and writes the picture to an .svg or .png file:
/// whole or not at all. 760 pixels wide. Errors: another kind of file, gnuplot missing or failing, a path that cannot
/// be written.
void plot(const std::string& path, const std::string& script, int height = 480);

struct PlotScript {
  std::string script;
  int width, height;
};

/// The SVG texts of such scripts, all by one gnuplot. Text in them is taken literally, without gnuplot's markup.
/// Errors: gnuplot missing or failing.
std::vector<std::string> svg_plots(const std::vector<PlotScript>& scripts);

/// A gnuplot string that stands for this text.
std::string plot_text(const std::string& text);

}  // namespace orthoread
