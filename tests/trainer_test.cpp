#include "apps/train/trainer.h"

#include "data/checksum.h"
#include "data/files.h"
#include "ops/softmax.h"
#include "optim/clip.h"
#include "tests/program.h"
#include "tests/support.h"

using namespace orthoread;

namespace {

TrainConfig small() {
  TrainConfig config;
  config.setting = {.vocab_size = 24, .seq_len = 16, .noise_vocab_size = 8, .frac_noise = 0.5};
  config.model.vocab_size = 24;
  config.model.dim = 8;
  config.steps = 4;
  config.batch_size = config.val_batches = 1;
  return config;
}

Safetensors parsed(const SafetensorsWriter& writer) { return Safetensors::parse(writer.bytes(), "state"); }

/// The state with one number of a tensor replaced.
template <class T>
Safetensors changed(const Safetensors& state, const std::string& name, T number) {
  SafetensorsWriter writer;
  for (const std::string& each : state.names()) {
    if (state.dtype(each) == "I64") {
      auto array = state.get<int64_t>(each);
      if (each == name) array.edit()[0] = static_cast<int64_t>(number);
      writer.add(each, array);
    } else {
      auto array = state.get<float>(each);
      if (each == name) array.edit()[array.size() - 1] = static_cast<float>(number);
      writer.add(each, array);
    }
  }
  return parsed(writer);
}

}  // namespace

TEST_CASE("trainer: a damaged state changes nothing") {
  Trainer<float> trainer(small());
  trainer.step();
  const Safetensors state = parsed(trainer.state_file());
  trainer.step();
  const std::string before = trainer.state_file().bytes();
  const auto refusal = [&](const Safetensors& wrong) { return thrown([&] { trainer.restore(wrong); }); };
  for (const std::string part : {"weights.", "adamw.first_moments.", "adamw.second_moments."}) {
    for (const double number : {kNaN, kInfinity}) {
      CHECK(refusal(changed(state, part + "head.bias", number)) ==
            "state: damaged: " + part + "head.bias holds a number that is not finite");
    }
  }
  CHECK(refusal(changed(state, "steps", 5)) == "state: 5 steps done, but the run has 4");
  CHECK(refusal(changed(state, "steps", -1)) == "state: -1 steps done, but the run has 4");
  CHECK(trainer.state_file().bytes() == before);
  CHECK(refusal(state) == "no error");
  CHECK(trainer.steps_done() == 1);
}

TEST_CASE("trainer: from a state file it continues bit for bit") {
  Trainer<float> whole(small()), resumed(small());
  for (int i = 0; i < 2; ++i) whole.step();
  resumed.restore(parsed(whole.state_file()));
  for (int i = 0; i < 2; ++i) {
    whole.step();
    resumed.step();
  }
  CHECK((whole.state_file().bytes() == resumed.state_file().bytes()));
}

TEST_CASE("trainer: a batch in parts has the loss and the gradient of the whole") {
  TrainConfig config = small();
  config.setting.seq_len = 512;
  config.model.read = MemoryRead::parse("raw");
  config.batch_size = 131;  // 3 parts, of 44, 44 and 43 sequences
  REQUIRE(config.batch_size * config.setting.tokens() > 2 * kTokensAtOnce);
  Trainer<double> trainer(config);
  const auto step = trainer.step();

  RecallModel<double> model(config.model, RandomStream(config.seed));
  const auto [inputs, targets] = NoisyRecall(config.setting, config.data_seed).next_batch(131, Split::kTrain);
  const Tensor<double> loss = cross_entropy(model.forward(inputs), targets);
  backward(loss);
  CHECK(step.loss == doctest::Approx(loss.value().item()).epsilon(1e-13));
  CHECK(step.grad_norm == doctest::Approx(clip_grad_norm(model.parameters(), config.clip)).epsilon(1e-12));
  CHECK(trainer.steps_done() == 1);
}

TEST_CASE("trainer: an init file counts by its content") {
  const TemporaryFolder folder;
  Trainer<float> source(small());
  source.step();
  source.model_file().write(folder / "init");
  TrainConfig config = small();
  config.set_init(folder / "init");
  CHECK(config.init_sha256 == sha256(read_file(folder / "init")));
  CHECK(config.to_json()["init"] == folder / "init");
  Trainer<float> started(config);
  CHECK(started.model_file().bytes().size() > 0);
  TrainConfig renamed = config;
  write_file_atomically(folder / "copy", read_file(folder / "init"));
  renamed.set_init(folder / "copy");
  CHECK(identity(renamed.to_json()) == identity(config.to_json()));
  CHECK(identity(small().to_json()) != identity(config.to_json()));

  source.step();
  source.model_file().write(folder / "init");
  CHECK(thrown([&] { Trainer<float> again(config); }) ==
        "--init: " + folder / "init has changed since this run was asked for");
  CHECK_THROWS(config.set_init(folder / "none"));
}
