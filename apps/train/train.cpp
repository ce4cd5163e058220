#include "apps/commands.h"
#include "apps/environment.h"
#include "apps/options.h"
#include "apps/progress.h"
#include "apps/train/run_folder.h"
#include "apps/train/trainer.h"

#include <chrono>
#include <csignal>
#include <filesystem>

namespace orthoread {
namespace {

struct TrainFlags {
  CommonOptions common;
  SettingOptions setting;
  ModelOptions model;
  TrainingOptions training;
  std::string out, init;
  bool resume = false;

  TrainConfig config() const {
    TrainConfig config = training.defaults;
    config.setting = setting.resolve();
    config.model = model.resolve(config.setting);
    config.dtype = model.dtype;
    config.schedule = parse_schedule(training.schedule);
    config.data_seed = training.data_seed.value_or(config.seed);
    config.init = init.empty() ? init : std::filesystem::absolute(init).lexically_normal().string();
    config.validate();
    return config;
  }
};

// Set by SIGINT, SIGTERM and SIGUSR1: finish the step, save, leave.
volatile std::sig_atomic_t stop_requested = 0;

void request_stops() {
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) std::signal(signal, [](int) { stop_requested = 1; });
}

const char* outcome(double accuracy) {
  return accuracy >= 0.8 ? "solved" : accuracy >= 0.2 ? "mid" : accuracy < 0.005 ? "collapsed" : "flat";
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
    if (result["escape_step"].is_null() && accuracy >= 0.8) result["escape_step"] = line["step"];
  }
  const Json& final = result["final_val_accuracy"];
  result["outcome"] = diverged || !final.is_number() ? "diverged" : outcome(final.get<double>());
  return result;
}

void print_result(const Json& result, const CommonOptions& common) {
  if (common.json) {
    fmt::print("{}\n", result.dump());
    return;
  }
  for (const auto& [key, value] : result.items()) {
    const std::string text = value.is_string()         ? value.get<std::string>()
                             : value.is_number_float() ? fmt::format("{:.4f}", value.get<double>())
                             : value.is_null()         ? "none"
                                                       : value.dump();
    fmt::print("{:<20} {}\n", key, text);
  }
}

template <Real T>
int train(const TrainConfig& config, RunFolder& folder, const CommonOptions& common) {
  Trainer<T> trainer(config);
  if (folder.has_state()) trainer.restore(folder.resume_state());
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return folder.seconds_before() + std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  Progress progress(config.model.read.name(), trainer.steps_done(), config.steps, common.quiet);
  if (trainer.steps_done() > 0) progress.note(fmt::format("continues after step {}", trainer.steps_done()));
  const auto save = [&] { folder.write_state(trainer.state_file(), seconds()); };
  if (!folder.has_state()) save();  // a run that diverges early has a checkpoint to go back to, too

  bool diverged = false;
  std::string accuracy;
  while (trainer.steps_done() < config.steps) {
    const int64_t before = trainer.steps_done();
    const auto result = trainer.step();
    const int64_t step = before + 1;
    folder.add_metrics({{"step", step}, {"loss", result.loss}, {"grad_norm", result.grad_norm}, {"lr", result.lr}});
    if (!result.finite) {
      diverged = true;
      progress.warn(
          fmt::format("orthoread: diverged at step {}: the loss is {}, the gradient norm {}; the last good "
                      "checkpoint is {}",
                      step, result.loss, result.grad_norm, folder.file("state.safetensors")));
      break;
    }
    if (step == 1 || step == config.steps || step % config.eval_every == 0) {
      const Evaluation evaluation = trainer.evaluate();
      folder.add_metrics({{"step", step}, {"val_loss", evaluation.loss}, {"val_accuracy", evaluation.accuracy}});
      accuracy = fmt::format("  accuracy {:.3f}", evaluation.accuracy);
    }
    progress.update(step, fmt::format("loss {:.3f}{}", result.loss, accuracy));
    if (stop_requested != 0 && step < config.steps) {
      save();
      progress.warn(
          fmt::format("orthoread: interrupted after step {}; continue with the same command and --resume", step));
      return kInterrupted;
    }
    if (step == config.steps || step % config.checkpoint_every == 0) save();
  }

  Json result = summarize(folder.evaluations(), diverged);
  result["parameters"] = trainer.parameter_count();
  result["seconds"] = seconds();
  result["steps_run"] = trainer.steps_done();
  if (!diverged) folder.write_model(trainer.model_file());
  folder.write_result(result);
  print_result(result, common);
  return diverged ? kFailed : kDone;
}

int run_train(const TrainFlags& flags) {
  flags.common.apply();
  const TrainConfig config = flags.config();
  if (!config.init.empty()) Safetensors::read(config.init);  // bad input is found before a folder is made
  request_stops();
  RunFolder folder(flags.out, config.to_json(), environment(), flags.resume);
  if (folder.done()) {
    const Json result = folder.result();
    print_result(result, flags.common);
    return result.value("outcome", "") == "diverged" ? kFailed : kDone;
  }
  return config.dtype == "float64" ? train<double>(config, folder, flags.common)
                                   : train<float>(config, folder, flags.common);
}

}  // namespace

void add_train_command(CLI::App& program, int& exit_code) {
  auto flags = std::make_shared<TrainFlags>();
  CLI::App* command = program.add_subcommand("train", "Train a recall model into a run folder");
  command->add_option("--out", flags->out, "The run folder")->required();
  command->add_option("--init", flags->init, "A checkpoint to start from instead of initial values");
  command->add_flag("--resume", flags->resume, "Continue the run that the folder holds, or begin it");
  flags->setting.add_to(*command);
  flags->model.add_to(*command);
  flags->training.add_to(*command);
  flags->common.add_to(*command);
  command->footer(
      "SIGINT, SIGTERM and SIGUSR1 finish the step, save, and leave with exit code 75.\n"
      "Example:\n  orthoread train --out runs/ns5_11 --setting v80_s512 --read ns5 --seed 11");
  command->callback([flags, &exit_code] { exit_code = run_train(*flags); });
}

}  // namespace orthoread
