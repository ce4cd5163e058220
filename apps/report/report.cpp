#include "apps/commands.h"
#include "apps/console.h"
#include "apps/options.h"
#include "apps/plot.h"
#include "apps/report/analysis.h"
#include "apps/report/missing.h"
#include "apps/report/page.h"
#include "data/files.h"

#include <filesystem>

namespace orthoread {
namespace {

struct ReportFlags {
  CommonOptions common;
  std::vector<std::string> folders;
  std::string out, compare = "read";
  std::optional<int64_t> until;
};

void write_all(const std::string& out, const Document& document, const std::string& comparison,
               const std::string& csv) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::create_directories(out + "/plots", error);
  check(!error, "--out: cannot make the folder {}/plots: {}", out, error.message());
  if (fs::exists(out + "/comparison.json")) {  // from an earlier report, perhaps of other runs
    for (const auto& entry : fs::directory_iterator(out + "/plots")) {
      if (is_plot(entry.path().filename().string())) fs::remove(entry, error);
    }
  }
  for (const Plot& plot : document.plots)
    write_file_atomically(fmt::format("{}/plots/{}.svg", out, plot.name), plot.svg);
  write_file_atomically(out + "/comparison.json", comparison);
  write_file_atomically(out + "/results.csv", csv);
  write_file_atomically(out + "/report.md", to_markdown(document));
  write_file_atomically(out + "/index.html", to_html(document));
}

int run_report(const ReportFlags& flags) {
  flags.common.apply();
  check(!flags.until || *flags.until >= 1, "--until: a whole number from 1 is allowed, not {}",
        flags.until.value_or(1));
  check(!flags.out.empty(), "--out: a folder is expected, not ''");
  const RunCollection collection = read_runs(flags.folders, flags.until);
  const Grouping grouping = group_runs(collection.runs, flags.compare);
  Json comparison = analyze(grouping, collection);
  comparison["until"] = flags.until ? Json(*flags.until) : Json();

  Document document;
  document.title = flags.compare == "read" ? "Which read solves noisy recall?"
                                           : fmt::format("Which {} solves noisy recall?", flags.compare);
  if (flags.until) document.title += fmt::format(" As of step {}", *flags.until);
  for (const Json& sentence : comparison["answer"]) document.answer.push_back(sentence);
  document.missing = missing_lines(grouping, comparison);
  document.shared = settings_text(grouping.shared);
  try {
    document.plots = draw_plots(grouping, comparison);
  } catch (const GnuplotMissing& missing) {
    document.missing.insert(document.missing.begin(), fmt::format("The plots: {}.", missing.what()));
  }
  document.tables = make_tables(grouping, comparison);
  // The name of a folder may contain bytes that are not UTF-8.
  const std::string figures = comparison.dump(1, ' ', false, Json::error_handler_t::replace);
  write_all(flags.out, document, figures + "\n", results_csv(collection.runs));

  if (flags.common.json) {
    print_out("{}\n", figures);
    return kDone;
  }
  for (const std::string& sentence : document.answer) print_out("{}\n", printable(sentence));
  constexpr size_t kMostLines = 5;
  for (size_t i = 0; i < std::min(document.missing.size(), kMostLines); ++i)
    print_out("missing: {}\n", printable(document.missing[i]));
  if (document.missing.size() > kMostLines)
    print_out("missing: {} more, on the page\n", document.missing.size() - kMostLines);
  print_out("{}/index.html\n", printable(flags.out));
  return kDone;
}

}  // namespace

void add_report_command(Command& program) {
  auto flags = std::make_shared<ReportFlags>();
  Command command =
      program.add_command("report", "Analyse many runs together: tables, statistical tests, plots, a page");
  command.add("folders", flags->folders, "Run folders, or folders that contain run folders at any depth").required();
  command.add("--out", flags->out, "Folder for index.html, report.md, results.csv and comparison.json").required();
  command.add("--compare", flags->compare, "The setting whose values are compared");
  command.add("--until", flags->until, "Ignore everything after this step").default_is("the end");
  flags->common.add_to(command);
  command.footer(
      "Unfinished runs are counted, but not analysed. A run that is found twice counts once if both copies agree.\n"
      "Example:\n  orthoread report runs --out report");
  command.runs([flags] { return run_report(*flags); });
}

}  // namespace orthoread
