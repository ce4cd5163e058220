#include "apps/commands.h"
#include "apps/console.h"
#include "apps/environment.h"
#include "apps/leave_signals.h"
#include "apps/progress.h"
#include "apps/train/flags.h"
#include "apps/train/outcome.h"
#include "apps/train/run_folder.h"
#include "apps/train/trainer.h"
#include "ops/gemm.h"
#include "ops/simd/instruction_set.h"

#include <chrono>

namespace orthoread {
namespace {

struct TrainFlags {
  CommonOptions common;
  RunFlags run;
  std::string out;
  bool resume = false;
};

// Set by a signal to leave: finish the step, save, leave.
volatile std::sig_atomic_t stop_requested = 0;

/// A sweep starts its runs with these signals blocked: those that have come by now are followed, too.
void request_stops() {
  const sigset_t signals = leave_signals();
  for (const int signal : kLeaveSignals)
    if (sigismember(&signals, signal) == 1) std::signal(signal, [](int) { stop_requested = 1; });
  sigprocmask(SIG_UNBLOCK, &signals, nullptr);
}

/// result.json, from the evaluations that metrics.jsonl holds.
Json summarize(const std::vector<Json>& evaluations, bool diverged) {
  Json result = {{"final_val_accuracy", nullptr},
                 {"final_val_loss", nullptr},
                 {"best_val_accuracy", nullptr},
                 {"escape_step", nullptr}};
  for (const Json& line : evaluations) {
    const Json& accuracy = line["val_accuracy"];
    result["final_val_accuracy"] = accuracy;
    result["final_val_loss"] = line["val_loss"];
    if (!accuracy.is_number()) continue;
    const Json& best = result["best_val_accuracy"];
    if (best.is_null() || accuracy > best) result["best_val_accuracy"] = accuracy;
    if (result["escape_step"].is_null() && has_escaped(accuracy)) result["escape_step"] = line["step"];
  }
  const Json& final = result["final_val_accuracy"];
  result["outcome"] = diverged || !final.is_number() ? "diverged" : outcome_of(final.get<double>());
  return result;
}

void print_result(const Json& result, const CommonOptions& common) {
  if (common.json) {
    print_out("{}\n", result.dump());
    return;
  }
  for (const auto& [key, value] : result.items()) {
    const std::string text = value.is_string()         ? printable(value.get<std::string>())
                             : value.is_number_float() ? fmt::format("{:.4f}", value.get<double>())
                             : value.is_null()         ? "none"
                                                       : value.dump();
    print_out("{:<20} {}\n", key, text);
  }
}

void say(const std::string& line) { log(fmt::format("orthoread: {}\n", printable(line))); }

/// The set of that name, if this processor has it.
std::optional<InstructionSet> available(const std::string& text) {
  for (const InstructionSet set : kInstructionSets) {
    if (text == name(set) && supported(set)) return set;
  }
  return std::nullopt;
}

/// A resumed run keeps its instruction set, unless another was asked for, so that its results stay bit-identical. Where
/// that is impossible, or where the BLAS or the program is another one, says so and records it.
void keep_arithmetic(RunFolder& folder, int64_t next_step, bool asked) {
  const std::string before = folder.computed_with("instruction_set");
  const auto set = available(before);
  if (set && !asked && *set != instruction_set()) {
    say(fmt::format("continues with the instruction set {}, as before, to stay bit-identical", before));
    set_instruction_set(*set);
  }
  for (const auto& [what, now] : {std::pair<std::string, std::string>("instruction_set", name(instruction_set())),
                                  {"blas", blas_description()},
                                  {"version", version()}}) {
    const std::string then = folder.computed_with(what);
    if (then == now) continue;
    say(fmt::format("{} was {}, is {} from step {} on: the bits {} differ from those of a run without the change", what,
                    then, now, next_step, what == "version" ? "may" : "will"));
    folder.record_change(next_step, what, now);
  }
}

template <Real T>
int train(const TrainConfig& config, RunFolder& folder, const TrainFlags& flags) {
  Trainer<T> trainer(config);
  if (!folder.warning().empty()) say(folder.warning());
  if (folder.begun()) {
    const std::string damage = folder.resume([&](const Safetensors& state) {
      trainer.restore(state);
      return trainer.steps_done();
    });
    if (!damage.empty()) say(damage);
    const bool goes_on = trainer.steps_done() < config.steps;
    if (goes_on) keep_arithmetic(folder, trainer.steps_done() + 1, flags.common.instruction_set.has_value());
  }
  Progress progress(config.model.read.name(), trainer.steps_done(), config.steps, flags.common.quiet);
  if (trainer.steps_done() > 0) progress.note(fmt::format("continues after step {}", trainer.steps_done()));
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return folder.seconds_before() + std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  const auto save = [&](const SafetensorsWriter& state) { folder.write_state(state, seconds()); };
  const auto keep_weights = [&](int64_t step, const SafetensorsWriter& model) {
    if (flags.run.keep_checkpoints) folder.keep_weights(step, model);
  };

  bool diverged = false;
  std::string accuracy;
  while (trainer.steps_done() < config.steps) {
    const int64_t step = trainer.steps_done() + 1;
    std::optional<std::pair<SafetensorsWriter, SafetensorsWriter>> initial;
    if (!folder.begun()) initial.emplace(trainer.state_file(), trainer.model_file());
    const auto result = trainer.step();
    std::optional<Evaluation> evaluation;
    if (result.finite && (step == 1 || step == config.steps || step % config.eval_every == 0)) {
      evaluation = trainer.evaluate();
    }
    if (initial) {  // only now, as the first step may run out of memory; before a divergence, to have a checkpoint
      folder.begin(environment());
      keep_weights(0, initial->second);
      save(initial->first);
    }
    folder.add_metrics({{"step", step}, {"loss", result.loss}, {"grad_norm", result.grad_norm}, {"lr", result.lr}});
    if (!result.finite) {
      diverged = true;
      progress.warn(
          fmt::format("orthoread: diverged at step {}: the loss is {}, the gradient norm {}; the last good "
                      "checkpoint is {}",
                      step, result.loss, result.grad_norm, folder.file(kState)));
      break;
    }
    if (evaluation) {
      folder.add_metrics({{"step", step}, {"val_loss", evaluation->loss}, {"val_accuracy", evaluation->accuracy}});
      accuracy = fmt::format("  accuracy {:.3f}", evaluation->accuracy);
    }
    progress.update(step, fmt::format("loss {:.3f}{}", result.loss, accuracy));
    const bool checkpoint = step == config.steps || step % config.checkpoint_every == 0;
    const bool stops = stop_requested != 0 && step < config.steps;
    if (checkpoint) keep_weights(step, trainer.model_file());
    if (checkpoint || stops) save(trainer.state_file());
    if (stops) {
      progress.warn(
          fmt::format("orthoread: interrupted after step {}; continue with the same command and --resume", step));
      return kInterrupted;
    }
  }

  Json result = summarize(folder.evaluations(), diverged);
  result["parameters"] = trainer.parameter_count();
  result["seconds"] = seconds();
  result["steps_run"] = trainer.steps_done();
  if (!folder.changes().empty()) result["arithmetic_changes"] = folder.changes();
  if (!diverged) folder.write_model(trainer.model_file());
  folder.write_result(result);
  print_result(result, flags.common);
  return diverged ? kFailed : kDone;
}

int run_train(const TrainFlags& flags) {
  flags.common.apply();
  const TrainConfig config = flags.run.config();
  request_stops();
  RunFolder folder(flags.out, config.to_json(), flags.resume);
  if (folder.done()) {
    const Json result = folder.result();
    print_result(result, flags.common);
    return recorded_outcome(result) == "diverged" ? kFailed : kDone;
  }
  return config.dtype == "float64" ? train<double>(config, folder, flags) : train<float>(config, folder, flags);
}

}  // namespace

void add_train_command(Command& program) {
  auto flags = std::make_shared<TrainFlags>();
  Command command = program.add_command("train", "Train a recall model into a run folder");
  command.add("--out", flags->out, "The run folder").required();
  command.add("--resume", flags->resume, "Continue the run in the folder, or start it");
  flags->run.add_to(command);
  flags->common.add_to(command);
  command.footer(
      "SIGINT, SIGTERM, SIGUSR1 and SIGHUP finish the step, save, and exit with code 75.\n"
      "Example:\n  orthoread train --out runs/ns5_11 --setting v80_s512 --read ns5 --seed 11");
  command.runs([flags] { return run_train(*flags); });
}

}  // namespace orthoread
