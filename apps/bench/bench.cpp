#include "apps/bench/fused_ops.h"
#include "apps/bench/measure.h"
#include "apps/bench/memory.h"
#include "apps/commands.h"
#include "apps/console.h"
#include "apps/environment.h"
#include "apps/options.h"
#include "apps/progress.h"
#include "apps/train/trainer.h"
#include "core/parallel.h"

#include <numeric>
#include <optional>

namespace orthoread {
namespace {

constexpr int64_t kLargestGemm = 1024;  // other rates are given relative to this product

/// The flags common to all benchmarks.
struct BenchOptions {
  int64_t repeats;
  CommonOptions common = {};
  std::string dtype = "float32";

  void add_to(Command& command, bool with_dtype) {
    command.add("--repeats", repeats, "Timed runs, after a warm-up");
    if (with_dtype) command.add("--dtype", dtype, "float32 or float64");
    common.add_to(command);
  }

  void apply() const {
    common.apply();
    at_least_one("--repeats", repeats);
    check_dtype(dtype);
  }

  static void check_dtype(const std::string& dtype) {
    check(dtype == "float32" || dtype == "float64", "--dtype: float32 and float64 are allowed, not '{}'", dtype);
  }
  static void at_least_one(const char* flag, int64_t value) {
    check(value >= 1, "{}: a whole number from 1 is allowed, not {}", flag, value);
  }
};

/// A measured quantity: a run takes `flops` operations on all threads together and, in the memory, has `parts` pairs of
/// token and head.
struct Row {
  std::string name;
  Timing timing;
  double flops;
  double parts = 0;

  double rate() const { return flops / timing.median(); }
  double us_a_part() const { return timing.median() * threads() / parts * 1e6; }
  Json to_json(double gemm) const {
    Json line = {{"seconds", timing.median()},
                 {"minimum_seconds", timing.minimum()},
                 {"gflop_per_s", rate() / 1e9},
                 {"fraction_of_gemm", rate() / gemm}};
    if (parts > 0) line["us_per_token_and_head"] = us_a_part();
    return line;
  }
};

/// Prints what is run, on what machine, with how much memory.
void print_heading(const Json& what, const Json& machine, double peak) {
  const auto text = [](const Json& value) {
    return value.is_string()         ? value.get<std::string>()
           : value.is_number_float() ? fmt::format("{:.1f}", value.get<double>())
                                     : value.dump();
  };
  for (const auto& [key, value] : what.items()) print_out("{:<16} {}\n", key, text(value));
  for (const char* key : {"processor", "threads", "instruction_set", "blas"})
    print_out("{:<16} {}\n", key, text(machine[key]));
  print_out("{:<16} {:.0f} MiB\n\n", "peak memory", peak);
}

/// Prints what was run and how fast; the last row is the total. `gemm`: operations per second of the largest matrix
/// product.
void print_findings(const Json& what, const std::vector<Row>& rows, double gemm, double peak, bool json) {
  const Json machine = environment();
  if (const std::string slow = slow_blas(); !slow.empty()) log("orthoread: " + slow + "\n");
  if (json) {
    Json document = what;
    document.update(rows.back().to_json(gemm));
    if (rows.size() > 1)
      for (const Row& row : rows) document[row.name] = row.to_json(gemm);
    document["gemm_gflop_per_s"] = gemm / 1e9;
    document["peak_mib"] = peak;
    document.update(machine);
    print_out("{}\n", document.dump(2));
    return;
  }
  print_heading(what, machine, peak);
  const bool parts = rows.back().parts > 0;
  print_out("{:<10}{:>13}{:>13}{}{:>10}{:>9}\n", "", "median", "minimum", parts ? "   a token and head" : "", "GFLOP/s",
            "of gemm");
  for (const Row& row : rows) {
    print_out("{:<10}{:>10.4g} ms{:>10.4g} ms{}{:>10.1f}{:>8.0f}%\n", row.name, row.timing.median() * 1e3,
              row.timing.minimum() * 1e3, parts ? fmt::format("{:>16.2f} us", row.us_a_part()) : "", row.rate() / 1e9,
              100 * row.rate() / gemm);
  }
  if (parts) print_out("\na token and head: on one of the {} threads\n", threads());
}

template <Real T>
double largest_gemm_rate() {
  return gemm_rate(kLargestGemm, time_gemm<T>(kLargestGemm, 5).median());
}

/// A training step.
struct StepBench {
  BenchOptions options{.repeats = 10};
  SettingOptions setting;
  ModelOptions model;
  int64_t batch_size = 16;

  void run() const {
    options.apply();
    BenchOptions::check_dtype(model.dtype);
    model.dtype == "float64" ? measure<double>() : measure<float>();
  }

  template <Real T>
  void measure() const {
    TrainConfig config;
    config.setting = setting.resolve();
    config.model = model.resolve(config.setting);
    config.dtype = model.dtype;
    config.batch_size = batch_size;
    config.schedule = Schedule::constant;
    config.steps = options.repeats + 1;
    config.val_batches = 1;
    Trainer<T> trainer(config);
    Progress progress("bench step", 0, options.repeats, options.common.quiet);
    trainer.step();
    Timing timing;
    for (int64_t i = 1; i <= options.repeats; ++i) {
      timing.add(seconds_of([&] { trainer.step(); }));
      progress.update(i, fmt::format("median {:.4g} s", timing.median()));
    }
    const double peak = peak_memory();
    Json what = {{"bench", "step"},
                 {"vocab_size", config.setting.vocab_size},
                 {"seq_len", config.setting.seq_len},
                 {"batch_size", batch_size},
                 {"read", config.model.read.name()},
                 {"dim", config.model.dim},
                 {"heads", config.model.heads},
                 {"dtype", config.dtype},
                 {"parameters", trainer.parameter_count()},
                 {"repeats", options.repeats}};
    const double flops = step_flops<T>(config.model, config.setting.tokens(), batch_size);
    print_findings(what, {{"step", timing, flops}}, largest_gemm_rate<T>(), peak, options.common.json);
  }
};

/// The memory alone.
struct ScanBench {
  BenchOptions options{.repeats = 20};
  int64_t width = 48, tokens = 512, heads = 64;
  std::string read = "ns5";
  bool worst_case = false;

  void run() const {
    options.apply();
    BenchOptions::at_least_one("--width", width);
    BenchOptions::at_least_one("--tokens", tokens);
    BenchOptions::at_least_one("--heads", heads);
    options.dtype == "float64" ? measure<double>() : measure<float>();
  }

  template <Real T>
  void measure() const {
    const MemoryRead how = MemoryRead::parse(read);
    const int64_t of_a_sequence = std::gcd(heads, int64_t{4});
    const MemorySize size = {heads / of_a_sequence, tokens, of_a_sequence, width};
    const MemoryInputs<T> x = memory_inputs<T>(size, worst_case);
    Array<T> cotangent = x.query.value();
    Progress progress("bench scan", 0, options.repeats, options.common.quiet);
    Timing forward, backward_timing, both;
    for (int64_t i = 0; i <= options.repeats; ++i) {
      Tensor<T> h = x.query;
      const double there = seconds_of([&] { h = mlstm(x.query, x.key, x.value, x.input_gate, x.log_forget, how); });
      for (Tensor<T> leaf : {x.query, x.key, x.value, x.input_gate, x.log_forget}) leaf.set_grad({});
      const double back = seconds_of([&] { backward(h, cotangent); });
      if (i == 0) continue;  // the warm-up
      forward.add(there);
      backward_timing.add(back);
      both.add(there + back);
      progress.update(i, fmt::format("median {:.4g} s", both.median()));
    }
    const double peak = peak_memory(), parts = static_cast<double>(heads * tokens);
    const SeriesTerms terms = series_terms(how, size, x);
    const MemoryFlops flops = memory_flops(how, width, terms.mean);
    Json what = {
        {"bench", "scan"},    {"width", width},           {"tokens", tokens},       {"heads", heads},
        {"read", how.name()}, {"worst_case", worst_case}, {"dtype", options.dtype}, {"repeats", options.repeats}};
    if (terms.most > 0) what.update({{"mean_terms", terms.mean}, {"most_terms", terms.most}});
    print_findings(what,
                   {{"forward", forward, flops.forward * parts, parts},
                    {"backward", backward_timing, flops.backward * parts, parts},
                    {"both", both, flops.both() * parts, parts}},
                   largest_gemm_rate<T>(), peak, options.common.json);
  }
};

/// Matrix products.
struct GemmBench {
  BenchOptions options{.repeats = 20};

  void run() const {
    options.apply();
    options.dtype == "float64" ? measure<double>() : measure<float>();
  }

  template <Real T>
  void measure() const {
    std::vector<Row> rows;
    for (const int64_t size : {int64_t{48}, int64_t{96}, int64_t{256}, kLargestGemm}) {
      rows.push_back({fmt::format("gemm_{}", size), time_gemm<T>(size, options.repeats), gemm_rate(size, 1)});
    }
    print_findings({{"bench", "gemm"}, {"dtype", options.dtype}, {"repeats", options.repeats}}, rows,
                   rows.back().rate(), peak_memory(), options.common.json);
  }
};

/// Fused ops of the published model beside what they replace.
struct OpsBench {
  BenchOptions options{.repeats = 20};
  SettingOptions setting;
  int64_t batch_size = 16;

  void run() const {
    options.apply();
    BenchOptions::at_least_one("--batch-size", batch_size);
    options.dtype == "float64" ? measure<double>() : measure<float>();
  }

  template <Real T>
  void measure() const {
    const RecallSetting of_task = setting.resolve();
    const RecallModelConfig config = {.vocab_size = of_task.vocab_size};
    std::optional<Progress> progress;
    const std::vector<OpTiming> timings = time_fused_ops<T>(
        config, batch_size, of_task.tokens(), options.repeats, [&](int64_t done, int64_t of, const std::string& name) {
          if (!progress) progress.emplace("bench ops", 0, of, options.common.quiet);
          progress->update(done, name);
        });
    print(timings, {{"bench", "ops"},
                    {"vocab_size", of_task.vocab_size},
                    {"seq_len", of_task.seq_len},
                    {"batch_size", batch_size},
                    {"dim", config.dim},
                    {"heads", config.heads},
                    {"dtype", options.dtype},
                    {"repeats", options.repeats}});
  }

  void print(const std::vector<OpTiming>& timings, Json what) const {
    const double peak = peak_memory();
    const Json machine = environment();
    if (const std::string slow = slow_blas(); !slow.empty()) log("orthoread: " + slow + "\n");
    if (options.common.json) {
      double total = 0;
      for (const auto& [name, replaces, fused, composed] : timings) {
        what["ops"].push_back({{"name", name},
                               {"replaces", replaces},
                               {"seconds", fused.median()},
                               {"composed_seconds", composed.median()}});
        total += fused.median();
      }
      what["seconds"] = total;
      what["peak_mib"] = peak;
      what.update(machine);
      print_out("{}\n", what.dump(2));
      return;
    }
    print_heading(what, machine, peak);
    print_out("{:<23}{:>13}{:>13}{:>8}  {}\n", "forward and backward", "fused", "composed", "times", "composed of");
    for (const auto& [name, replaces, fused, composed] : timings)
      print_out("{:<23}{:>10.4g} ms{:>10.4g} ms{:>8.2f}  {}\n", name, fused.median() * 1e3, composed.median() * 1e3,
                composed.median() / fused.median(), replaces);
  }
};

template <class Bench>
Command add_bench(Command& group, const char* name, const char* help, const std::shared_ptr<Bench>& bench) {
  Command command = group.add_command(name, help);
  command.footer(fmt::format("Example:\n  orthoread bench {} --json", name));
  command.runs([bench] {
    bench->run();
    return kDone;
  });
  return command;
}

}  // namespace

void add_bench_command(Command& program) {
  Command group =
      program.add_command("bench", "Measure a training step, the memory alone, the fused ops, or matrix products");
  group.needs_command();
  group.footer(
      "Each prints the median of repeated runs and peak memory; all but ops also the minimum, and useful GFLOP/s, "
      "also\n"
      "relative to matrix products of 1024 x 1024 on this machine.\n"
      "Example:\n  orthoread bench step --setting v80_s512 --read ns5 --batch-size 16");

  const auto step = std::make_shared<StepBench>();
  Command command = add_bench(group, "step", "A whole training step", step);
  command.add("--batch-size", step->batch_size, "Sequences in a batch");
  step->setting.add_to(command);
  step->model.add_to(command);
  step->options.add_to(command, false);  // MODEL has a --dtype

  const auto scan = std::make_shared<ScanBench>();
  command = add_bench(group, "scan", "The memory alone, forward and backward", scan);
  command.add("--width", scan->width, "Width of a head");
  command.add("--tokens", scan->tokens, "Tokens in a sequence");
  command.add("--heads", scan->heads, "Number of heads, over all sequences");
  command.add("--read", scan->read, "raw or ns<k>, k from 0 to 10");
  command.add("--worst-case", scan->worst_case, "Two alternating keys and values: the slowest reads");
  scan->options.add_to(command, true);

  const auto ops = std::make_shared<OpsBench>();
  command = add_bench(group, "ops",
                      "Each fused op of the block beside the ops that it replaces, and linear beside OpenBLAS", ops);
  command.add("--batch-size", ops->batch_size, "Sequences in a batch");
  ops->setting.add_to(command);
  ops->options.add_to(command, true);

  const auto gemm = std::make_shared<GemmBench>();
  command =
      add_bench(group, "gemm", "Matrix products of size 48, 96, 256 and 1024, one at a time on each thread", gemm);
  gemm->options.add_to(command, true);
}

}  // namespace orthoread
