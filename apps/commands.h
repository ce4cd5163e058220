// The commands of the program. Each function adds one.
#pragma once

#include "apps/command_line.h"

namespace orthoread {

void add_data_command(Command& program);
void add_train_command(Command& program);
void add_eval_command(Command& program);
void add_sweep_command(Command& program);
void add_probe_command(Command& program);
void add_explain_command(Command& program);
void add_gradcheck_command(Command& program);
void add_graph_command(Command& program);
void add_bench_command(Command& program);
void add_report_command(Command& program);
void add_info_command(Command& program);

// Exit codes.
constexpr int kDone = 0;
constexpr int kFailed = 1;        // a check failed, a run diverged, the disk is full
constexpr int kUsage = 2;         // usage or bad input
constexpr int kInterrupted = 75;  // resumable; EX_TEMPFAIL of sysexits.h

}  // namespace orthoread
