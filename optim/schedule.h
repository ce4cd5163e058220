// Learning rates over a run.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace orthoread {

/// How the learning rate goes from the first step to the last.
enum class Schedule { cosine, constant };

/// "cosine" or "constant"; an error for any other text.
Schedule parse_schedule(std::string_view text);
/// The text that parse_schedule takes.
std::string name(Schedule schedule);

/// The learning rate of a step, counted from 0, of `steps`. cosine: base (1 + cos(pi step / steps)) / 2, from base to
/// 0, which is PyTorch's CosineAnnealingLR in closed form, stepped after the optimizer.
double learning_rate(Schedule schedule, double base, int64_t step, int64_t steps);

}  // namespace orthoread
