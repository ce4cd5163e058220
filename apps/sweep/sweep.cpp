#include "apps/sweep/sweep.h"

#include "apps/commands.h"
#include "apps/leave_signals.h"
#include "apps/progress.h"
#include "apps/train/run_folder.h"
#include "data/folder_lock.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <deque>
#include <set>

namespace orthoread {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kHeldSeconds = 2;     // between checks of a run that another process holds
constexpr double kLeaveSeconds = 2;    // for a run to save and exit, plus
constexpr double kLeaveSteps = 10;     // this many steps: a step with an evaluation takes several times as long
constexpr double kStartSeconds = 0.3;  // to start a run's process

/// Blocks the signals to leave, and those of runs that end: only wait() then receives them.
class Signals {
 public:
  Signals() : set_(leave_signals()) {
    ::sigaddset(&set_, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &set_, &before_);
  }
  ~Signals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// The next signal, or 0 after a while without one.
  int wait() const {
    const timespec moment = {0, 100'000'000};
    const int signal = ::sigtimedwait(&set_, nullptr, &moment);
    return signal > 0 ? signal : 0;
  }

 private:
  sigset_t set_, before_;
};

/// ", accuracy 0.994", if the run's result has one.
std::string final_accuracy(const std::string& folder) {
  const Json accuracy = read_result(folder).value("final_val_accuracy", Json());
  return accuracy.is_number() ? fmt::format(", accuracy {:.3f}", accuracy.get<double>()) : "";
}

/// Work that `jobs` processes share: no run is faster than one process.
class WorkLeft {
 public:
  void add(double seconds) {
    total_ += seconds;
    longest_ = std::max(longest_, seconds);
  }
  double seconds(int jobs) const { return std::max(longest_, total_ / jobs); }

 private:
  double total_ = 0, longest_ = 0;
};

class Sweep {
 public:
  Sweep(const SweepFolder& folder, const std::vector<GridRun>& runs, const SweepOptions& options, SweepView& view)
      : folder_(folder), options_(options), view_(view) {
    std::set<std::string> seen;
    for (const GridRun& run : runs) {
      if (!seen.insert(run.hash).second) continue;  // it is in two grids of one file
      const RunState state = folder_.state_of(run);
      const Trained so_far = trained(state, folder_.folder_of(run));
      tasks_.push_back({&run, state, so_far.steps});
      times_.add(run.settings, so_far);
    }
    for (Task& task : tasks_) queue_.push_back(&task);
  }

  int run() {
    view_.note(fmt::format("{} runs ({}); {} at once", tasks_.size(), counts().text(), options_.jobs));
    for (;;) {
      try {
        collect_ended();
        if (!leaving_ && time_is_up()) leave("the time limit is near");
        if (!leaving_) start_more();
      } catch (const Error& error) {  // the sweep's folder cannot be written: every run would fail
        view_.warn(fmt::format("orthoread: {}", error.what()));
        broken_ = true;
        if (!leaving_) leave("nothing can be written");
        continue;
      }
      if (active_.empty() && (leaving_ || queue_.empty())) break;
      show();
      const int signal = signals_.wait();
      if (signal != 0 && signal != SIGCHLD && !leaving_) leave(fmt::format("signal {}", signal));
    }
    return exit_code();
  }

 private:
  /// A run and its state.
  struct Task {
    const GridRun* run;
    RunState state;
    int64_t checkpoint;  // the step of its last one
    bool tried = false;
    int64_t killed_at = -1;  // its checkpoint when it was last killed
    Clock::time_point next_look = {};
  };
  struct Active {
    Task* task;
    std::unique_ptr<RunProcess> process;
  };

  RunCounts counts() const {
    RunCounts counts;
    for (const Task& task : tasks_) counts.add(task.state);
    return counts;
  }

  double elapsed() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  /// When running jobs must be stopped. A short time limit is used by at least half.
  double last_moment() {
    double slowest = 0;
    for (Active& active : active_) slowest = std::max(slowest, active.process->follow().step_seconds());
    return *options_.time_limit - std::min(*options_.time_limit / 2, kLeaveSeconds + kLeaveSteps * slowest);
  }
  bool time_is_up() { return options_.time_limit && elapsed() >= last_moment(); }

  void leave(const std::string& why) {
    leaving_ = true;
    if (!active_.empty()) view_.warn(fmt::format("orthoread: {}: {} running jobs save and leave", why, active_.size()));
    for (const Active& active : active_) active.process->ask_to_leave();
  }

  void start_more() {
    for (size_t i = 0; i < queue_.size() && static_cast<int>(active_.size()) < options_.jobs;) {
      Task& task = *queue_[i];
      if (Clock::now() < task.next_look) {
        ++i;
        continue;
      }
      task.state = folder_.state_of(*task.run);
      const bool again = task.state == RunState::failed && options_.retry_failed && !task.tried;
      if (task.state == RunState::running) {
        if (!task.tried) view_.note(fmt::format("waits   {}: another process works on it", task.run->name));
        task.tried = true;
        task.next_look = Clock::now() + std::chrono::milliseconds(static_cast<int64_t>(1000 * kHeldSeconds));
        ++i;
      } else if (task.state == RunState::pending || task.state == RunState::interrupted || again) {
        queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(i));
        start(task);
      } else {
        queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
  }

  /// Of runs that ended or left a checkpoint, else of one that is running.
  std::optional<double> step_seconds(const Json& settings) {
    std::optional<double> seconds = times_.of(settings);
    for (size_t i = 0; i < active_.size() && !seconds; ++i) {
      if (!StepTimes::same_cost(active_[i].task->run->settings, settings)) continue;
      const RunProcess::Reached& reached = active_[i].process->follow();
      if (reached.step > reached.first) seconds = reached.step_seconds();
    }
    return seconds;
  }

  /// Starts the run's process, if the time limit leaves time for its next checkpoint.
  void start(Task& task) {
    const GridRun& run = *task.run;
    task.checkpoint = trained_at_checkpoint(folder_.folder_of(run)).steps;
    const int64_t every = run.config.checkpoint_every;
    const int64_t next = std::min(run.config.steps, (task.checkpoint / every + 1) * every);
    const std::optional<double> one_step = step_seconds(run.settings);
    if (options_.time_limit && one_step &&
        elapsed() + kStartSeconds + static_cast<double>(next - task.checkpoint) * *one_step > last_moment()) {
      if (!told_of_limit_)
        view_.note(fmt::format(
            "stays   {}, as any run that cannot reach its next checkpoint, step {}, within the limit", run.name, next));
      told_of_limit_ = true;
      return;
    }
    const std::string folder = folder_.make_folder(run);
    remove_failure(folder);
    std::vector<std::string> flags = run.flags;
    const std::string set = "--instruction-set=";
    const bool named = std::any_of(flags.begin(), flags.end(), [&](const auto& flag) { return flag.starts_with(set); });
    if (options_.instruction_set && !named && task.checkpoint == 0) flags.push_back(set + *options_.instruction_set);
    active_.push_back({&task, std::make_unique<RunProcess>(folder, flags, options_.threads)});
    task.state = RunState::running;
    task.tried = true;
    if (!view_.live())
      view_.note(fmt::format("starts  {}{}", run.name,
                             task.checkpoint > 0 ? fmt::format(", after step {}", task.checkpoint) : ""));
  }

  void collect_ended() {
    for (size_t i = 0; i < active_.size();) {
      if (!active_[i].process->ended()) {
        ++i;
        continue;
      }
      Active ended = std::move(active_[i]);
      active_.erase(active_.begin() + static_cast<std::ptrdiff_t>(i));
      take_in(*ended.task, *ended.process);
    }
  }

  void take_in(Task& task, RunProcess& process) {
    const GridRun& run = *task.run;
    const std::string folder = folder_.folder_of(run);
    const RunProcess::Reached& reached = process.follow();
    times_.add(run.settings, {reached.step - reached.first, reached.seconds});
    task.state = folder_.state_of(run);
    task.checkpoint = trained_at_checkpoint(folder).steps;
    switch (task.state) {
      case RunState::done:
      case RunState::diverged:
        if (task.state == RunState::diverged) count_failure(run, process.last_words());
        view_.note(fmt::format("{}    {}{}, {}", task.state == RunState::done ? "done" : "ends", run.name,
                               final_accuracy(folder), duration_text(reached.seconds)));
        return;
      case RunState::running:  // another sweep took it
        queue_.push_back(&task);
        return;
      default:
        break;
    }
    const std::string reason = process.last_words();
    if (process.exit_code() == kInterrupted) {
      task.state = RunState::interrupted;
      if (!leaving_)
        view_.note(fmt::format("leaves  {}: {}", run.name, reason));
      else if (!view_.live())
        view_.note(fmt::format("leaves  {}, after step {}", run.name, task.checkpoint));
    } else if (reason.find(kAnotherProcess) != std::string::npos) {
      queue_.push_back(&task);
    } else if (process.exit_code() == 128 + SIGKILL && task.checkpoint > task.killed_at) {
      // Probably killed for lack of memory: there may be more when other runs have ended.
      task.killed_at = task.checkpoint;
      view_.warn(fmt::format("orthoread: {}: {} after step {}; it will be retried when the others are done", run.name,
                             reason, reached.step));
      queue_.push_back(&task);
    } else {
      count_failure(run, reason);
      write_failure(folder, process.exit_code(), reason);
      task.state = RunState::failed;
    }
  }

  void count_failure(const GridRun& run, const std::string& reason) {
    view_.warn(fmt::format("orthoread: {}: {}", run.name, reason));
    if (++failures_ < options_.max_failures || leaving_) return;
    too_many_failed_ = true;
    leave(fmt::format("{} failed", failures_));
  }

  void show() {
    if (!view_.live()) return;
    std::vector<SweepView::Job> jobs;
    for (Active& active : active_) {
      const RunProcess::Reached& reached = active.process->follow();
      jobs.push_back({active.task->run->label(), reached.step, active.task->run->config.steps, reached.loss,
                      reached.accuracy, reached.step_seconds()});
    }
    view_.update(counts(), jobs, time_left(jobs));
  }

  /// Negative if some kind of run has not been timed.
  double time_left(const std::vector<SweepView::Job>& jobs) {
    WorkLeft left;
    for (const SweepView::Job& job : jobs) {
      if (job.step_seconds <= 0) return -1;
      left.add(static_cast<double>(job.steps - job.step) * job.step_seconds);
    }
    for (const Task* task : queue_) {
      const std::optional<double> step = step_seconds(task->run->settings);
      if (!step) return -1;
      left.add(static_cast<double>(task->run->config.steps - task->checkpoint) * *step);
    }
    return left.seconds(options_.jobs);
  }

  int exit_code() {
    const RunCounts end = counts();
    view_.note(end.text());
    const bool left = end.of(RunState::pending) + end.of(RunState::running) + end.of(RunState::interrupted) > 0;
    if (left && !too_many_failed_) {
      view_.note("run the same command again to continue");
      return broken_ ? kFailed : kInterrupted;
    }
    return end.of(RunState::failed) + end.of(RunState::diverged) > 0 ? kFailed : kDone;
  }

  const SweepFolder& folder_;
  SweepOptions options_;
  SweepView& view_;
  Signals signals_;
  Clock::time_point start_ = Clock::now();
  std::vector<Task> tasks_;
  std::deque<Task*> queue_;
  std::vector<Active> active_;
  StepTimes times_;
  int64_t failures_ = 0;
  bool leaving_ = false, too_many_failed_ = false, broken_ = false, told_of_limit_ = false;
};

}  // namespace

int sweep(const SweepFolder& folder, const std::vector<GridRun>& runs, const SweepOptions& options, SweepView& view) {
  return Sweep(folder, runs, options, view).run();
}

std::optional<double> seconds_left(const SweepFolder& folder, const std::vector<GridRun>& runs, int jobs) {
  StepTimes times;
  std::vector<std::pair<const GridRun*, int64_t>> unfinished;  // and the steps that each has
  for (const GridRun& run : runs) {
    const RunState state = folder.state_of(run);
    const Trained so_far = trained(state, folder.folder_of(run));
    times.add(run.settings, so_far);
    if (state == RunState::pending || state == RunState::interrupted || state == RunState::running)
      unfinished.emplace_back(&run, so_far.steps);
  }
  WorkLeft left;
  for (const auto& [run, steps] : unfinished) {
    const std::optional<double> step = times.of(run->settings);
    if (!step) return std::nullopt;
    left.add(static_cast<double>(run->config.steps - steps) * *step);
  }
  return left.seconds(jobs);
}

}  // namespace orthoread
