#include "apps/report/plots.h"

#include "apps/plot.h"
#include "apps/report/analysis.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace orthoread {
namespace {

constexpr int kPlotWidth = 480, kPlotHeight = 330;

/// The style of a level: its colour (Okabe and Ito's palette for colour-blind readers) and, for black and white, its
/// dashes.
struct Style {
  const char *color, *dashes;
};
constexpr Style kStyles[] = {{"#d55e00", "(9,4)"},      {"#0072b2", "solid"}, {"#009e73", "(2,3)"},
                             {"#aa4499", "(12,3,2,3)"}, {"#56b4e9", "(5,2)"}, {"#e69f00", "(14,3,2,3,2,3)"},
                             {"#666666", "(4,6)"}};

/// From the eighth level on a colour comes again, with the dashes of another.
Style style_of(size_t level) {
  constexpr size_t styles = std::size(kStyles);
  return {kStyles[level % styles].color, kStyles[(level + level / styles) % styles].dashes};
}
Style style_of(const Grouping& grouping, const Cell& cell) { return style_of(grouping.level_index(cell.level)); }

/// "with lines ..." in a level's style. `transparency` is hexadecimal, 00 for opaque.
std::string line(const Style& style, const char* with, double width, const char* transparency = "00") {
  return fmt::format("with {} lw {} dashtype {} lc rgb '#{}{}'", with, width, style.dashes, transparency,
                     style.color + 1);
}

constexpr const char* kFrame =
    "set border 3 lw 0.8\nset tics nomirror out scale 0.6\nset grid ytics lt 1 lw 0.4 lc rgb '#cccccc'\n";
constexpr const char* kPercent = "set yrange [0:100]\nset ytics 0,20,100\nset format y '%g %%'\n";

/// The key of the levels, above the plot, in as many rows as keep it inside the picture.
std::string key_of(const Grouping& grouping) {
  size_t longest = 0;
  for (const Json& level : grouping.levels) longest = std::max(longest, text_of(level).size());
  constexpr size_t kRoom = 400, kLine = 62, kCharacter = 9;  // pixels; kLine is a sample with the space around it
  const size_t levels = grouping.levels.size(), fit = std::max<size_t>(1, kRoom / (kLine + kCharacter * longest));
  const size_t rows = (levels + fit - 1) / fit, columns = (levels + rows - 1) / rows;
  return fmt::format("set key tmargin left horizontal Left reverse samplen 3 maxcols {}\n", columns);
}

/// The text, changed to be a file name.
std::string file_name(const std::string& text) {
  std::string name;
  for (const char c : text) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '_';
    if (plain)
      name += c;
    else if (!name.empty() && name.back() != '_')
      name += '_';
  }
  constexpr size_t kLongest = 120;
  return name.substr(0, kLongest);
}

/// Collects plots and draws all of them at once.
class Album {
 public:
  void add(Plot plot, std::string script, int height = kPlotHeight) {
    std::string& name = plot.name;
    while (std::any_of(plots_.begin(), plots_.end(), [&](const Plot& other) { return other.name == name; }))
      name += "_";
    plots_.push_back(std::move(plot));
    scripts_.push_back({std::move(script), kPlotWidth, height});
  }
  std::vector<Plot> draw() {
    if (plots_.empty()) return {};
    std::vector<std::string> pictures = svg_plots(scripts_);
    for (size_t i = 0; i < plots_.size(); ++i) plots_[i].svg = std::move(pictures[i]);
    return std::move(plots_);
  }

 private:
  std::vector<Plot> plots_;
  std::vector<PlotScript> scripts_;
};

/// A data block of gnuplot.
std::string block(const std::string& name, const std::string& lines) {
  return fmt::format("${} << END\n{}END\n", name, lines);
}

/// The solved fraction of each cell of these groups, one row each, below its group's label.
void add_solved(Album& album, const Grouping& grouping, const std::vector<Group>& groups, const Json& cells) {
  std::string script = std::string(kFrame) +
                       "unset key\nset xrange [0:100]\nset xtics 0,20,100\nset format x '%g %%'\nset grid noytics\n"
                       "set grid xtics lt 1 lw 0.4 lc rgb '#cccccc'\nset rmargin 11\nset xlabel 'solved runs'\n";
  std::string caption, ticks;
  std::map<size_t, std::string> rows;  // by level
  int row = 0;
  for (const Group& group : groups) {
    if (grouping.groups.size() > 1)
      script += fmt::format("set label {} at graph 0.01, first {} left\n", plot_text(group.label), ++row);
    std::vector<std::string> parts;
    for (const size_t i : group.cells) {
      ++row;
      const Json& cell = cells[i];
      const double fraction = cell["solved_fraction"], low = cell["solved_low"], high = cell["solved_high"];
      const auto solved = cell["solved"].get<int64_t>(), runs = cell["runs"].get<int64_t>();
      const std::string name = text_of(grouping.cells[i].level);
      rows[grouping.level_index(grouping.cells[i].level)] +=
          fmt::format("{:.4g} {} {:.4g} {:.4g}\n", 100 * fraction, row, 100 * low, 100 * high);
      ticks += fmt::format("{}{} {}", ticks.empty() ? "" : ", ", plot_text(name), row);
      script += fmt::format("set label '{} of {}' at graph 1.02, first {} left\n", solved, runs, row);
      parts.push_back(fmt::format("{} {} of {} ({:.0f} to {:.0f} %)", name, solved, runs, 100 * low, 100 * high));
    }
    caption += fmt::format(" {}: {}.", group.label, fmt::join(parts, ", "));
  }
  std::string curves;
  for (const auto& [level, lines] : rows) {
    const Style style = style_of(level);
    script += block(fmt::format("level{}", level), lines);
    curves += fmt::format(
        "{}$level{} using 3:2:($4-$3):(0) with vectors nohead lw 2 dashtype {} lc rgb '{}', "
        "'' using 1:2:(1.1) with circles fs solid noborder lc rgb '{}'",
        curves.empty() ? "plot " : ", ", level, style.dashes, style.color, style.color);
  }
  script += fmt::format("set yrange [{}:0.3]\nset ytics ({})\n{}", row + 0.7, ticks, curves);
  constexpr int kRow = 26, kAround = 96;
  album.add({"solved", "", "Solved runs",
             "Share of the runs that are solved at the end (dot) with Wilson's 95 % interval (line)." + caption, ""},
            script, kAround + kRow * row);
}

/// Curves of the fraction of runs that have escaped. The x of the data is divided by `unit`.
std::string escape_script(const Grouping& grouping, const Group& group, const std::string& x_label, double unit,
                          std::vector<Survival> (*subjects_of)(const Cell&)) {
  double end = 0;
  std::map<size_t, std::vector<SurvivalPoint>> curves;
  for (const size_t i : group.cells) {
    curves[i] = kaplan_meier(subjects_of(grouping.cells[i]));
    if (!curves[i].empty()) end = std::max(end, curves[i].back().time);
  }
  std::string script = kFrame + key_of(grouping) + kPercent +
                       fmt::format("set xrange [0:{}]\nset xlabel {}\n", end > 0 ? end / unit : 1, plot_text(x_label));
  std::string plots;
  for (const auto& [i, curve] : curves) {
    if (curve.empty()) continue;
    std::string steps = "0 0\n", marks;
    double escaped = 0;
    for (const SurvivalPoint& point : curve) {
      escaped = 100 * (1 - point.surviving);
      steps += fmt::format("{:.6g} {:.6g}\n", point.time / unit, escaped);
      if (point.censored > 0 && point.time < end)
        marks += fmt::format("{0:.6g} {1:.6g}\n{0:.6g} {2:.6g}\n\n", point.time / unit, escaped - 2, escaped + 2);
    }
    const Style style = style_of(grouping, grouping.cells[i]);
    script += block(fmt::format("steps{}", i), steps);
    plots += fmt::format("{}$steps{} {} title {}", plots.empty() ? "plot " : ", ", i, line(style, "steps", 2.5),
                         plot_text(text_of(grouping.cells[i].level)));
    if (marks.empty()) continue;
    script += block(fmt::format("marks{}", i), marks);
    plots += fmt::format(", $marks{} with lines lw 1.5 lc rgb '{}' notitle", i, style.color);
  }
  return script + plots;
}

/// The ends of the curves of a group's cells: "raw 19 % of 16 runs, ns5 …".
std::string escaped_text(const Grouping& grouping, const Group& group, const Json& cells) {
  std::vector<std::string> parts;
  for (const size_t i : group.cells) {
    const Json& curve = cells[i]["escape_curve"];
    if (curve.empty()) continue;
    std::string part =
        fmt::format("{} {:.0f} % of {} runs", text_of(grouping.cells[i].level),
                    100 * curve.back()["escaped_fraction"].get<double>(), curve[0]["at_risk"].get<int64_t>());
    const Json& half = cells[i]["half_escaped_step"];
    if (half.is_number()) part += fmt::format(" (half of all by step {:.0f})", half.get<double>());
    parts.push_back(part);
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

/// The ends of the curves against time: "raw 19 % after 14 minutes; ns5 56 % after 35 minutes (half of all by 30)".
std::string escaped_in_time_text(const Grouping& grouping, const Group& group, double unit, const char* unit_name) {
  std::vector<std::string> parts;
  for (const size_t i : group.cells) {
    const std::vector<SurvivalPoint> curve = kaplan_meier(escapes_in_time(grouping.cells[i]));
    if (curve.empty()) continue;
    std::string part = fmt::format("{} {:.0f} % after {:.3g} {}", text_of(grouping.cells[i].level),
                                   100 * (1 - curve.back().surviving), curve.back().time / unit, unit_name);
    if (const std::optional<double> half = median_time(curve))
      part += fmt::format(" (half of all by {:.3g})", *half / unit);
    parts.push_back(part);
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

void add_escapes(Album& album, const Grouping& grouping, const Group& group, const Json& cells) {
  const std::string which = escaped_text(grouping, group, cells), name = file_name(group.label);
  album.add(
      {"escape_" + name, group.label, "Escape from the plateau, by steps",
       fmt::format("Share of runs that have escaped (an accuracy of 80 % or more) by a step, Kaplan-Meier; a tick is a "
                   "run censored there, at its collapse or its last evaluation. At the end: {}.",
                   which),
       ""},
      escape_script(grouping, group, "step", 1, escapes));
  double longest = 0;
  for (const size_t i : group.cells)
    for (const Survival& subject : escapes_in_time(grouping.cells[i])) longest = std::max(longest, subject.time);
  if (longest == 0) return;
  const auto [unit, unit_name] = longest >= 7200  ? std::pair(3600.0, "hours")
                                 : longest >= 120 ? std::pair(60.0, "minutes")
                                                  : std::pair(1.0, "seconds");
  album.add({"escape_time_" + name, group.label, "Escape from the plateau, by wall time",
             fmt::format("Share of runs that have escaped by a time of the run (its total time times the fraction of "
                         "steps done), Kaplan-Meier. A run that has ended no longer counts, so where the times of runs "
                         "differ the share may exceed that by steps. At the end: {}.",
                         escaped_in_time_text(grouping, group, unit, unit_name)),
             ""},
            escape_script(grouping, group, fmt::format("{} of the run", unit_name), unit, escapes_in_time));
}

/// The points of a run's curve: every `stride`-th evaluation and the last.
std::string curve_lines(const Run& run, double RunEvaluation::*value, double factor, size_t stride) {
  std::string lines;
  for (size_t i = 0; i < run.evaluations.size(); ++i) {
    const RunEvaluation& evaluation = run.evaluations[i];
    if ((run.evaluations.size() - 1 - i) % stride == 0 && std::isfinite(evaluation.*value))
      lines += fmt::format("{} {:.5g}\n", evaluation.step, factor * evaluation.*value);
  }
  return lines + "\n";
}

/// What is drawn of an evaluation, and how.
struct Quantity {
  const char* name;
  double RunEvaluation::*value;
  double factor;
  const char* axis;    // for gnuplot
  const char* median;  // of a level and its last median, a text
};
constexpr Quantity kAccuracy = {"accuracy", &RunEvaluation::accuracy, 100, kPercent, "{} {:.0f} %"};
constexpr Quantity kLoss = {"loss", &RunEvaluation::loss, 1, "set yrange [0:*]\n", "{} {:.2f}"};

/// The curve of each seed, thin, and their median, thick.
void add_curves(Album& album, const Grouping& grouping, const Group& group, const Quantity& of, size_t stride) {
  std::string script = kFrame + key_of(grouping), thin, thick;
  script += of.axis;
  int64_t end = 0;
  std::vector<std::string> medians;
  for (const size_t i : group.cells) {
    const Cell& cell = grouping.cells[i];
    const std::map<int64_t, double> curve = median_curve(cell, of.value);
    if (curve.empty()) continue;
    std::string runs, median;
    for (const auto& [step, value] : curve) median += fmt::format("{} {:.5g}\n", step, of.factor * value);
    for (const Run* run : cell.runs) {
      runs += curve_lines(*run, of.value, of.factor, stride);
      if (!run->evaluations.empty()) end = std::max(end, run->evaluations.back().step);
    }
    script += block(fmt::format("runs{}", i), runs) + block(fmt::format("median{}", i), median);
    const Style style = style_of(grouping, cell);
    thin += fmt::format("{}$runs{} {} notitle", thin.empty() ? "plot " : ", ", i, line(style, "lines", 0.8, "80"));
    thick += fmt::format(", $median{} {} title {}", i, line(style, "lines", 3), plot_text(text_of(cell.level)));
    medians.push_back(fmt::format(fmt::runtime(of.median), text_of(cell.level), of.factor * curve.rbegin()->second));
  }
  if (medians.empty()) return;
  std::string caption = fmt::format(
      "Validation {} at each evaluation: a thin line for each run, a thick line for their median. The median ends at: "
      "{}.",
      of.name, fmt::join(medians, ", "));
  if (stride > 1) caption += fmt::format(" Of each run every {}th evaluation is drawn.", stride);
  album.add(
      {fmt::format("{}_{}", of.name, file_name(group.label)), group.label, fmt::format("Validation {}", of.name),
       caption, ""},
      fmt::format("{}set xrange [0:{}]\nset xlabel 'step'\n{}{}", script, std::max<int64_t>(end, 1), thin, thick));
}

}  // namespace

bool is_plot(const std::string& file_name) {
  const std::string start = file_name.substr(0, file_name.find_first_of("_."));
  const bool ours = start == "solved" || start == "escape" || start == "accuracy" || start == "loss";
  return ours && file_name.ends_with(".svg");
}

std::vector<Plot> draw_plots(const Grouping& grouping, const Json& comparison) {
  Album album;
  if (grouping.cells.empty()) return {};
  const Json& cells = comparison["cells"];
  constexpr size_t kGroupsAPlot = 6;
  for (size_t i = 0; i < grouping.groups.size(); i += kGroupsAPlot) {
    const auto begin = grouping.groups.begin() + static_cast<std::ptrdiff_t>(i);
    const auto end = std::min(begin + kGroupsAPlot, grouping.groups.end());
    add_solved(album, grouping, {begin, end}, cells);
  }
  size_t points = 0;
  for (const Cell& cell : grouping.cells)
    for (const Run* run : cell.runs) points += run->evaluations.size();
  constexpr size_t kMostPoints = 20000;  // keeps the page below 2 MB
  const size_t stride = 1 + points / kMostPoints;
  for (const Group& group : grouping.groups) {
    const bool any = std::any_of(group.cells.begin(), group.cells.end(),
                                 [&](size_t i) { return !escapes(grouping.cells[i]).empty(); });
    if (!any) continue;
    add_escapes(album, grouping, group, cells);
    add_curves(album, grouping, group, kAccuracy, stride);
    add_curves(album, grouping, group, kLoss, stride);
  }
  return album.draw();
}

}  // namespace orthoread
