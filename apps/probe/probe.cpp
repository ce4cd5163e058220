#include "apps/commands.h"
#include "apps/console.h"
#include "apps/options.h"
#include "apps/plot.h"
#include "apps/probe/checkpoint_files.h"
#include "apps/probe/checkpoint_probe.h"
#include "apps/progress.h"
#include "apps/train/checkpoint.h"

#include <algorithm>
#include <filesystem>

namespace orthoread {
namespace {

struct ProbeFlags {
  CommonOptions common;
  SettingOptions setting;
  std::vector<std::string> checkpoints;
  std::string read, plot, dtype;
  std::optional<uint64_t> data_seed;
  std::optional<int64_t> step;
  int64_t batches = 16, batch_size = 16, positions = 8;
};

/// A checkpoint and its measurements.
struct Probed {
  std::string path;
  ProbeConfig config;
  CheckpointProbe probe;
};

/// The settings from the flags and, where those are missing, from the checkpoint's metadata.
ProbeConfig probe_config(const ProbeFlags& flags, const Safetensors& file) {
  ProbeConfig config;
  config.model = checkpoint_config(file);
  config.setting = flags.setting.resolve(file.metadata());
  check(config.setting.vocab_size == config.model.vocab_size,
        "--vocab-size: the checkpoint {} has {} tokens, the task {}", file.path(), config.model.vocab_size,
        config.setting.vocab_size);
  config.read = !flags.read.empty()                ? MemoryRead::parse(flags.read)
                : config.model.read.orthogonalized ? config.model.read
                                                   : MemoryRead::ns(5);
  check(config.read.orthogonalized, "--read: raw is measured anyway; ns<k> with k from 0 to {} is allowed",
        kMostReadSteps);
  const auto of_file = [&](const char* key) { return metadata_number<uint64_t>(file.metadata(), key); };
  config.data_seed = flags.data_seed.value_or(of_file("data_seed").value_or(of_file("seed").value_or(11)));
  config.step = flags.step.value_or(
      step_in_path(file.path()).value_or(metadata_number<int64_t>(file.metadata(), "steps").value_or(0)));
  config.dtype = !flags.dtype.empty() ? flags.dtype : file.dtype("embedding.weight") == "F64" ? "float64" : "float32";
  check(config.dtype == "float32" || config.dtype == "float64", "--dtype: float32 and float64 are allowed, not '{}'",
        config.dtype);
  config.batches = flags.batches;
  config.batch_size = flags.batch_size;
  config.positions = flags.positions;
  return config;
}

Json to_json(const Spectrum& spectrum) {
  return {{"effective_rank", spectrum.effective_rank},
          {"first_share", spectrum.first_share},
          {"log10_condition", spectrum.log10_condition},
          {"singular_values", spectrum.singular_values}};
}

Json to_json(const DecoderResult& decoder) {
  return {{"accuracy", decoder.accuracy}, {"lambda", decoder.lambda}, {"train", decoder.train}, {"test", decoder.test}};
}

Json to_json(const std::vector<RangeAccuracy>& ranges, const std::string& read) {
  Json list = Json::array();
  for (const auto& [range, queries, accuracy] : ranges) {
    list.push_back({{"from", range.from},
                    {"to", range.bounded() ? Json(range.to) : Json()},
                    {"queries", queries},
                    {"raw", accuracy.raw},
                    {read, accuracy.orthogonalized}});
  }
  return list;
}

Json to_json(const Probed& probed) {
  const auto& [path, config, probe] = probed;
  const std::string read = config.read.name();
  Json positions = Json::array();
  for (const PositionSpectra& position : probe.positions) {
    positions.push_back({{"tokens", position.tokens},
                         {"memory", to_json(position.memory)},
                         {"orthogonalized", to_json(position.orthogonalized)},
                         {"keys", to_json(position.keys)}});
  }
  return {{"checkpoint", printable(path)},
          {"trained_read", config.model.read.name()},
          {"read", read},
          {"dtype", config.dtype},
          {"step", config.step},
          {"data_seed", config.data_seed},
          {"vocab_size", config.setting.vocab_size},
          {"seq_len", config.setting.seq_len},
          {"positions", std::move(positions)},
          {"accuracy", {{"raw", probe.accuracy.raw}, {read, probe.accuracy.orthogonalized}}},
          {"loss", {{"raw", probe.loss.raw}, {read, probe.loss.orthogonalized}}},
          {"by_age", to_json(probe.by_age, read)},
          {"by_times_seen", to_json(probe.by_times_seen, read)},
          {"decoder", to_json(probe.decoder)},
          {"decoder_control", to_json(probe.control)},
          {"gradient_cosine", {{"all", probe.gradient_cosine}, {"query_and_key", probe.query_key_gradient_cosine}}}};
}

std::string cells(const Spectrum& spectrum) {
  return fmt::format("{:>9.3f}{:>7.4f}{:>6.2f}", spectrum.effective_rank, spectrum.first_share,
                     spectrum.log10_condition);
}

/// A table of accuracies by range, with a row for each read.
std::string ranges_table(const std::string& title, const std::vector<RangeAccuracy>& ranges, const std::string& read) {
  std::string head, queries, raw, orthogonalized;
  for (const auto& [range, count, accuracy] : ranges) {
    const std::string name = range.from == range.to ? std::to_string(range.from)
                             : range.bounded()      ? fmt::format("{}-{}", range.from, range.to)
                                                    : fmt::format("{}+", range.from);
    head += fmt::format("{:>9}", name);
    queries += fmt::format("{:>9}", count);
    raw += count == 0 ? fmt::format("{:>9}", "-") : fmt::format("{:>9.4f}", accuracy.raw);
    orthogonalized += count == 0 ? fmt::format("{:>9}", "-") : fmt::format("{:>9.4f}", accuracy.orthogonalized);
  }
  return fmt::format("  {:<18}{}\n  {:<18}{}\n  {:<18}{}\n  {:<18}{}\n", title, head, "queries", queries,
                     "accuracy, raw", raw, "accuracy, " + read, orthogonalized);
}

std::string text(const Probed& probed) {
  const auto& [path, config, probe] = probed;
  const std::string read = config.read.name();
  std::string table =
      fmt::format("{}\n  trained with {}, step {}, v{}_s{}, data seed {}\n\n", path, config.model.read.name(),
                  config.step, config.setting.vocab_size, config.setting.seq_len, config.data_seed);
  table += fmt::format("  {:>6}{:>22}{:>22}{:>22}\n  {:>6}", "", "memory C", fmt::format("{} of C", read),
                       "keys' Gram matrix", "tokens");
  for (int i = 0; i < 3; ++i) table += fmt::format("{:>9}{:>7}{:>6}", "rank", "first", "cond");
  for (const PositionSpectra& position : probe.positions) {
    table += fmt::format("\n  {:>6}{}{}{}", position.tokens, cells(position.memory), cells(position.orthogonalized),
                         cells(position.keys));
  }
  table += "\n\n" + ranges_table("tokens since seen", probe.by_age, read) + "\n" +
           ranges_table("times seen before", probe.by_times_seen, read);
  table += fmt::format("\n  {:<13}{:>9}{:>9}    {:<16}{:>9}{:>8}    {}\n", "same weights", "accuracy", "loss",
                       "decoder from C", "accuracy", "lambda", "gradient cosine");
  table += fmt::format("  {:<13}{:>9.4f}{:>9.4f}    {:<16}{:>9.4f}{:>8}    {:<15}{:>8.4f}\n", "raw read",
                       probe.accuracy.raw, probe.loss.raw, "stored pair", probe.decoder.accuracy, probe.decoder.lambda,
                       "all", probe.gradient_cosine);
  table += fmt::format("  {:<13}{:>9.4f}{:>9.4f}    {:<16}{:>9.4f}{:>8}    {:<15}{:>8.4f}\n", read + " read",
                       probe.accuracy.orthogonalized, probe.loss.orthogonalized, "another pair", probe.control.accuracy,
                       probe.control.lambda, "query and key", probe.query_key_gradient_cosine);
  return table;
}

/// Labels that tell the checkpoints apart: their paths without common leading and trailing folders.
std::vector<std::string> labels(const std::vector<Probed>& all) {
  if (all.size() == 1) return {printable(all[0].path)};
  std::vector<std::vector<std::string>> parts;
  for (const Probed& probed : all) {
    std::vector<std::string>& path = parts.emplace_back();
    const std::filesystem::path whole = std::filesystem::path(probed.path).replace_extension();
    for (const auto& part : whole) path.push_back(part.string());
  }
  const auto all_alike = [&](const auto& part_of) {  // each has more than one part left, and this part is the same
    return std::all_of(parts.begin(), parts.end(),
                       [&](const auto& path) { return path.size() > 1 && part_of(path) == part_of(parts[0]); });
  };
  while (all_alike([](const auto& path) { return path.front(); })) {
    for (auto& path : parts) path.erase(path.begin());
  }
  while (all_alike([](const auto& path) { return path.back(); })) {
    for (auto& path : parts) path.pop_back();
  }
  std::vector<std::string> found;
  for (const auto& path : parts) found.push_back(printable(fmt::format("{}", fmt::join(path, "/"))));
  return found;
}

/// The end of a text that is too long.
std::string tail(const std::string& text, size_t width) {
  return text.size() <= width ? text : "..." + text.substr(text.size() - (width - 3));
}

/// A line per checkpoint.
std::string summary(const std::vector<Probed>& all) {
  std::string table =
      fmt::format("{:<36}{:^14}{:^14}{:^14}{:^7}{:^15}\n{:<36}{:>7}{:>7}{:>7}{:>7}{:>7}{:>7}{:>7}{:>8}{:>7}\n",
                  "after the last token", "C", "NS(C)", "accuracy", "", "gradient cos", "checkpoint", "rank", "first",
                  "rank", "first", "raw", "NS", "decode", "all", "q, k");
  const std::vector<std::string> names = labels(all);
  for (size_t i = 0; i < all.size(); ++i) {
    const CheckpointProbe& probe = all[i].probe;
    const auto& [tokens, memory, orthogonalized, keys] = probe.positions.back();
    table += fmt::format("{:<36}{:>7.3f}{:>7.3f}{:>7.3f}{:>7.3f}{:>7.3f}{:>7.3f}{:>7.3f}{:>8.3f}{:>7.3f}\n",
                         tail(names[i], 35), memory.effective_rank, memory.first_share, orthogonalized.effective_rank,
                         orthogonalized.first_share, probe.accuracy.raw, probe.accuracy.orthogonalized,
                         probe.decoder.accuracy, probe.gradient_cosine, probe.query_key_gradient_cosine);
  }
  return table;
}

/// Two panels, with a colour and a mark for each checkpoint: the spectra after the last token, and the accuracy by age
/// of the key.
std::string plot_script(const std::vector<Probed>& all) {
  const std::vector<std::string> names = labels(all);
  constexpr size_t kMostNamed = 12;            // there is no room for more names
  constexpr int kMarks[] = {7, 5, 9, 11, 13};  // gnuplot's filled marks
  std::string data, spectra, recall;
  for (size_t i = 0; i < all.size(); ++i) {
    const auto& [path, config, probe] = all[i];
    const PositionSpectra& last = probe.positions.back();
    data += fmt::format("$spectrum{} << END\n", i);
    for (size_t s = 0; s < last.memory.singular_values.size(); ++s) {
      data += fmt::format("{} {:.9g} {:.9g}\n", s + 1, last.memory.singular_values[s],
                          last.orthogonalized.singular_values[s]);
    }
    data += fmt::format("END\n$recall{} << END\n", i);
    for (const auto& [range, queries, accuracy] : probe.by_age) {
      if (queries > 0) data += fmt::format("{} {:.9g} {:.9g}\n", range.from, accuracy.raw, accuracy.orthogonalized);
    }
    data += "END\n";
    const double shade = static_cast<double>(i) / static_cast<double>(std::max<size_t>(1, all.size() - 1));
    std::string title = all.size() <= kMostNamed ? tail(names[i], 40) : "";
    std::replace(title.begin(), title.end(), '\'', '_');  // a quote would end the string
    const auto line = [&](const char* what, int column, const char* dash, const std::string& name) {
      return fmt::format("${}{} using 1:{} with linespoints pt {} ps 0.5 lw 2 {} lc palette frac {:.4f} {}, ", what, i,
                         column, kMarks[i % std::size(kMarks)], dash, shade,
                         name.empty() ? "notitle" : "title '" + name + "'");
    };
    spectra += line("spectrum", 2, "dt 1", title) + line("spectrum", 3, "dt 3", "");
    recall += line("recall", 2, "dt 1", title) + line("recall", 3, "dt 3", "");
  }
  return data +
         "set palette defined (0 '#440154', 1 '#31688e', 2 '#35b779', 3 '#c8a000')\nunset colorbox\nset grid\nunset "
         "key\nset lmargin 10\nset multiplot layout 2,1\n"
         "set title 'Singular values over their sum, after the last token'\nset logscale y\nset format y '%g'\n"
         "set yrange [1e-6:1]\nset xlabel 'of C; dotted: of C orthogonalized'\nplot " +
         spectra +
         "\nset title 'Accuracy by the age of the key'\nset key below maxcols 1 height 1.5 noenhanced\nunset logscale "
         "y\nset "
         "yrange [0:1]\nset logscale x 2\n"
         "set xlabel 'tokens since the key was seen; dotted: orthogonalized read'\nplot " +
         recall + "\nunset multiplot";
}

int run_probe(const ProbeFlags& flags) {
  flags.common.apply();
  const auto at_least_one = [](const char* flag, int64_t value) {
    check(value >= 1, "--{}: a whole number from 1 is allowed, not {}", flag, value);
  };
  check(flags.plot.empty() || flags.plot.ends_with(".svg") || flags.plot.ends_with(".png"),
        "--plot: .svg and .png are allowed, not {}", flags.plot);
  check(flags.step.value_or(0) >= 0, "--step: a whole number from 0 is allowed, not {}", *flags.step);
  at_least_one("batches", flags.batches);
  at_least_one("batch-size", flags.batch_size);
  std::vector<Probed> all;
  int64_t runs_without = 0;
  for (const std::string& path : flags.checkpoints) {
    const CheckpointFiles found = checkpoint_files(path);
    for (const std::string& file : found.files) all.push_back({file, {}, {}});
    runs_without += found.runs_without;
  }
  for (Probed& probed : all) {  // what cannot be probed is an error now, not after hours
    const Safetensors file = Safetensors::read(probed.path);
    probed.config = probe_config(flags, file);
    check_checkpoint(file, probed.config);
  }
  Progress progress("probe", 0, static_cast<int64_t>(all.size()), flags.common.quiet);
  if (runs_without > 0) progress.note(fmt::format("not ended, without a checkpoint: {} of the runs", runs_without));
  for (size_t i = 0; i < all.size(); ++i) {
    progress.update(static_cast<int64_t>(i), printable(all[i].path));
    all[i].probe = probe_checkpoint(Safetensors::read(all[i].path), all[i].config);
  }
  if (flags.common.json) {
    Json list = Json::array();
    for (const Probed& probed : all) list.push_back(to_json(probed));
    print_out("{}\n", list.dump(2));
  } else {
    for (const Probed& probed : all) print_out("{}\n", text(probed));
    if (all.size() > 1) print_out("{}", summary(all));
  }
  if (!flags.plot.empty()) plot(flags.plot, plot_script(all), 800);
  return kDone;
}

}  // namespace

void add_probe_command(Command& program) {
  auto flags = std::make_shared<ProbeFlags>();
  Command command =
      program.add_command("probe", "Measure the memory of a checkpoint: spectra, recall by age, decoding, gradients");
  command.add("--checkpoint", flags->checkpoints, "Checkpoints, run folders, or folders of run folders").required();
  command.add("--read", flags->read, "The read to compare with raw: ns<k>, k from 0 to 10")
      .default_is("what the checkpoint was trained with, or ns5");
  command
      .add("--data-seed", flags->data_seed,
           "Data seed of the run; the sequences come from its validation set, 10000 + this")
      .default_is("the checkpoint's, or 11");
  command.add("--step", flags->step, "Training step of the checkpoint; seeds the batches for the gradients")
      .default_is("the checkpoint's");
  command.add("--dtype", flags->dtype, "float32 or float64; in float32 condition numbers are rounding noise")
      .default_is("the checkpoint's");
  command.add("--batches", flags->batches, "Batches for the accuracies");
  command.add("--batch-size", flags->batch_size, "Sequences in a batch");
  command.add("--positions", flags->positions, "Positions at which the memory is measured");
  command.add("--plot", flags->plot, "Plot the spectra, and the accuracy by age of the key, to an .svg or .png file");
  flags->setting.add_to(command);
  flags->common.add_to(command);
  command.footer(
      "SETTING flags that are not given come from the checkpoint's metadata, if it has them.\n"
      "Example:\n  orthoread probe --checkpoint runs/ns5 runs/raw/model.safetensors --plot probe.svg");
  command.runs([flags] { return run_probe(*flags); });
}

}  // namespace orthoread
