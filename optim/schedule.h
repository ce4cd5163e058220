// Learning rate schedules.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace orthoread {

/// How the learning rate changes during training.
enum class Schedule { cosine, constant };

/// "cosine" or "constant"; an Error for any other text.
Schedule parse_schedule(std::string_view text);
/// The text that parse_schedule takes.
std::string name(Schedule schedule);

/// The learning rate of step `step`, from 0, of `steps`. cosine: base (1 + cos(pi step / steps)) / 2, from base to 0.
/// This is PyTorch's CosineAnnealingLR in closed form, stepped after the optimizer.
double learning_rate(Schedule schedule, double base, int64_t step, int64_t steps);

}  // namespace orthoread
