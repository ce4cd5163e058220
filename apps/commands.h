// The commands of the program, one file each. Every function adds its command; once that was parsed and run,
// `exit_code` holds what the program returns.
#pragma once

#include <CLI/CLI.hpp>

namespace orthoread {

void add_data_command(CLI::App& program, int& exit_code);
void add_train_command(CLI::App& program, int& exit_code);
void add_eval_command(CLI::App& program, int& exit_code);
void add_sweep_command(CLI::App& program, int& exit_code);
void add_probe_command(CLI::App& program, int& exit_code);
void add_gradcheck_command(CLI::App& program, int& exit_code);
void add_bench_command(CLI::App& program, int& exit_code);
void add_report_command(CLI::App& program, int& exit_code);
void add_info_command(CLI::App& program, int& exit_code);

// Exit codes.
constexpr int kDone = 0;
constexpr int kFailed = 1;        // a check failed, a run diverged, the disk is full
constexpr int kUsage = 2;         // usage or bad input
constexpr int kInterrupted = 75;  // resumable; EX_TEMPFAIL of sysexits.h

}  // namespace orthoread
