#include "apps/commands.h"
#include "apps/console.h"
#include "apps/options.h"
#include "apps/progress.h"
#include "apps/sweep/machine.h"
#include "apps/sweep/plan.h"
#include "apps/sweep/sweep.h"
#include "core/parallel.h"

#include <algorithm>
#include <cstdlib>

namespace orthoread {
namespace {

struct SweepFlags {
  CommonOptions common;
  std::string grid, out;
  bool list = false, status = false, retry_failed = false, fail_fast = false;
  std::optional<int> jobs;
  std::optional<int64_t> index, max_failures;
  int64_t chunk = 1;
  std::optional<std::string> shard, time_limit;
};

/// The seconds in "2h30m", "45m", "90s", "1d" or "90".
double parse_duration(const std::string& text) {
  double total = 0;
  bool right = !text.empty();
  for (size_t at = 0; right && at < text.size();) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), value);
    const size_t unit = static_cast<size_t>(end - text.data());
    right = error == std::errc() && value >= 0 && value < 1e9;
    const bool bare = unit == text.size();  // "90"
    const double seconds = bare                ? (at == 0 ? 1 : 0)
                           : text[unit] == 'd' ? 86400
                           : text[unit] == 'h' ? 3600
                           : text[unit] == 'm' ? 60
                           : text[unit] == 's' ? 1
                                               : 0;
    right = right && seconds > 0;
    total += value * seconds;
    at = unit + 1;
  }
  check(right && total > 0, "--time-limit: a time such as 2h30m, 45m or 90s is allowed, not '{}'", text);
  return total;
}

/// The index of this task in a job array, and the variable that holds it.
struct ArrayTask {
  std::string variable;
  int64_t index;
};
std::optional<ArrayTask> array_task() {
  for (const auto& [variable, first] :
       {std::pair("SLURM_ARRAY_TASK_ID", 0), {"JOB_COMPLETION_INDEX", 0}, {"SGE_TASK_ID", 1}, {"PBS_ARRAY_INDEX", 0}}) {
    const char* text = std::getenv(variable);
    if (text == nullptr || *text == '\0' || std::string_view(text) == "undefined") continue;  // SGE, outside an array
    const std::optional<int64_t> number = number_from<int64_t>(text);
    check(number && *number >= first, "{}: a whole number from {} is expected, not '{}'", variable, first, text);
    return ArrayTask{variable, *number - first};
  }
  return std::nullopt;
}

/// The runs that --index, --chunk and --shard choose. Notes an index that comes from a job array.
std::vector<GridRun> chosen(const std::vector<GridRun>& all, const SweepFlags& flags, SweepView& view) {
  std::optional<int64_t> index = flags.index;
  std::string where = "--index";
  if (!index && !flags.shard) {
    if (const std::optional<ArrayTask> task = array_task()) {
      index = task->index;
      where = task->variable;
      view.note(fmt::format("index {}, by {}", *index, where));
    }
  }
  const auto count = static_cast<int64_t>(all.size());
  std::vector<GridRun> runs;
  if (index) {
    check(!flags.shard, "--shard: not together with --index");
    const int64_t last = (count - 1) / flags.chunk;
    check(0 <= *index && *index <= last, "{}: from 0 to {} is allowed for the {} runs of {}{}, not {}", where, last,
          count, flags.grid, flags.chunk > 1 ? fmt::format(" in chunks of {}", flags.chunk) : "", *index);
    for (int64_t i = *index * flags.chunk; i < std::min(count, (*index + 1) * flags.chunk); ++i)
      runs.push_back(all[static_cast<size_t>(i)]);
    return runs;
  }
  if (!flags.shard) return all;
  const std::string_view text = *flags.shard;
  const size_t slash = std::min(text.find('/'), text.size());
  const int64_t part = number_from<int64_t>(text.substr(0, slash)).value_or(-1);
  const int64_t parts = number_from<int64_t>(text.substr(std::min(slash + 1, text.size()))).value_or(0);
  check(parts >= 1 && 0 <= part && part <= parts,
        "--shard: I/N with whole numbers, N from 1 and I from 0 to N, is allowed, not '{}'", text);
  for (const GridRun& run : all)
    if (run.index % parts == part % parts) runs.push_back(run);
  return runs;
}

struct Listed {
  RunState state;
  std::string folder;
};

/// The indices of unfinished runs, or of chunks that have some.
std::string still_to_do(const std::vector<GridRun>& runs, const std::vector<Listed>& listed, int64_t chunk) {
  std::vector<int64_t> indices;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (listed[i].state != RunState::pending && listed[i].state != RunState::interrupted) continue;
    const int64_t index = runs[i].index / chunk;
    if (indices.empty() || indices.back() != index) indices.push_back(index);
  }
  return index_ranges(indices);
}

void print_list(const std::vector<GridRun>& runs, const std::vector<Listed>& listed, bool json) {
  Json list = Json::array();
  size_t widest = 6;
  for (const Listed& run : listed) widest = std::max(widest, run.folder.size());
  if (!json) print_out("{:>5}  {:<{}}  {}\n", "index", "folder", widest, "state");
  for (size_t i = 0; i < runs.size(); ++i) {
    if (json) {
      list.push_back({{"index", runs[i].index},
                      {"folder", listed[i].folder},
                      {"state", name(listed[i].state)},
                      {"settings", runs[i].settings}});
    } else {
      print_out("{:>5}  {:<{}}  {}\n", runs[i].index, listed[i].folder, widest, name(listed[i].state));
    }
  }
  if (json) print_out("{}\n", list.dump());
}

void print_status(const SweepFolder& folder, const std::vector<GridRun>& runs, const std::vector<Listed>& listed,
                  int jobs, const SweepFlags& flags) {
  RunCounts counts;
  for (const Listed& run : listed) counts.add(run.state);
  const std::optional<double> left = seconds_left(folder, runs, jobs);
  const std::string todo = still_to_do(runs, listed, flags.chunk);
  if (flags.common.json) {
    Json document = {{"counts", counts.to_json()},
                     {"todo", todo},
                     {"seconds_left", left ? Json(*left) : Json()},
                     {"jobs", jobs},
                     {"runs", runs.size()}};
    print_out("{}\n", document.dump());
    return;
  }
  print_out("{} of {}\n", counts.text(), counts.total());
  print_out("time left    {}\n", left ? fmt::format("{} with {} at once", duration_text(*left), jobs)
                                      : std::string("not known before a run of each kind has ended or saved"));
  print_out("still to do  {}\n", todo.empty() ? "nothing" : todo);
}

int run_sweep(const SweepFlags& flags) {
  check(!(flags.list && flags.status), "--list: not together with --status");
  SweepView view(flags.common.quiet || flags.list || flags.status);
  const std::vector<GridRun> all = read_grid(flags.grid);
  const int cpus = available_cpus(), threads = flags.common.threads.value_or(1);
  check(threads >= 1, "--threads: a whole number from 1 is allowed, not {}", threads);
  set_threads(threads);  // refuses what every run would refuse
  check(flags.chunk >= 1, "--chunk: a whole number from 1 is allowed, not {}", flags.chunk);
  if (flags.common.instruction_set) check_instruction_set(*flags.common.instruction_set);
  const int jobs = flags.jobs.value_or(std::max(1, cpus / threads));
  check(jobs >= 1, "--jobs: a whole number from 1 is allowed, not {}", jobs);
  check(!flags.out.empty(), "--out: a folder is expected, not ''");
  const SweepFolder folder(flags.out);

  const bool only_looks = flags.list || flags.status;
  const bool all_asked = only_looks && !flags.index && !flags.shard;  // within a job array, too
  const std::vector<GridRun> runs = all_asked ? all : chosen(all, flags, view);
  if (only_looks) {
    std::vector<Listed> listed;
    for (const GridRun& run : runs) listed.push_back({folder.state_of(run), folder.folder_of(run)});
    if (flags.list)
      print_list(runs, listed, flags.common.json);
    else
      print_status(folder, runs, listed, jobs, flags);
    return kDone;
  }

  SweepOptions options{.jobs = jobs,
                       .threads = threads,
                       .instruction_set = flags.common.instruction_set,
                       .retry_failed = flags.retry_failed};
  if (flags.fail_fast) options.max_failures = 1;
  if (flags.max_failures) {
    check(*flags.max_failures >= 1, "--max-failures: a whole number from 1 is allowed, not {}", *flags.max_failures);
    options.max_failures = std::min(options.max_failures, *flags.max_failures);
  }
  if (flags.time_limit) options.time_limit = parse_duration(*flags.time_limit);
  const int at_once = std::min(jobs, static_cast<int>(runs.size()));
  if (int64_t{at_once} * threads > cpus) {
    view.warn(
        fmt::format("orthoread: warning: {} jobs x {} threads are more than the {} CPUs that this process may use",
                    at_once, threads, cpus));
  }
  const bool all_done =
      std::all_of(runs.begin(), runs.end(), [&](const GridRun& run) { return folder.state_of(run) == RunState::done; });
  try {
    write_plan(flags.out, all);
    const std::string no_locks = folder.prepare();
    if (!no_locks.empty() && !all_done && runs.size() == all.size())
      view.warn(fmt::format("orthoread: {}, or give each sweep its own --shard or --index", no_locks));
  } catch (const Error&) {  // where nothing is to be done the folder may be one that can only be read
    if (!all_done) throw;
  }
  const int exit_code = sweep(folder, runs, options, view);
  if (flags.common.json) {
    std::vector<Listed> listed;
    for (const GridRun& run : runs) listed.push_back({folder.state_of(run), folder.folder_of(run)});
    print_status(folder, runs, listed, jobs, flags);
  }
  return exit_code;
}

}  // namespace

void add_sweep_command(Command& program) {
  auto flags = std::make_shared<SweepFlags>();
  Command command = program.add_command("sweep", "Train all runs of a grid, several at once; continues if interrupted");
  command.add("grid", flags->grid, "A JSON file: {\"name\": …, \"fixed\": {KEY: VALUE}, \"vary\": {KEY: [VALUE]}}")
      .required()
      .takes("GRID.json");
  command.add("--out", flags->out, "The sweep's folder, which holds the runs in runs/").required();
  command.add("--list", flags->list, "Only print index, folder and state of each run");
  command.add("--status", flags->status, "Only print the counts, the time left and the indices still to do");
  command.add("--jobs", flags->jobs, "Runs at once").default_is("CPUs / --threads");
  command.add("--index", flags->index, "Only this run").default_is("a job array's variable, else all");
  command.add("--chunk", flags->chunk, "Number of runs K per index: index I stands for runs I K to I K + K - 1");
  command.add("--shard", flags->shard, "I/N: the runs whose index has remainder I modulo N");
  command.add("--time-limit", flags->time_limit, "Save everything and exit within this time: 2h30m, 45m, 90s");
  command.add("--retry-failed", flags->retry_failed, "Run failed runs again");
  command.add("--fail-fast", flags->fail_fast, "Stop at the first run that fails or diverges");
  command.add("--max-failures", flags->max_failures, "Stop after this many runs have failed or diverged");
  flags->common.add_to(command, "1 a run");
  command.footer(
      "Job arrays: without --index, SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX, SGE_TASK_ID or PBS_ARRAY_INDEX\n"
      "chooses the run.\n"
      "Exit codes: 0 all done; 75 interrupted or out of time (the same command continues); 1 some failed or "
      "diverged.\n"
      "Example:\n  orthoread sweep reads.json --out runs/reads --jobs 2");
  command.runs([flags] { return run_sweep(*flags); });
}

}  // namespace orthoread
