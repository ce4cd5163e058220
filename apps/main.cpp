#include "apps/array_memory.h"
#include "apps/commands.h"
#include "core/check.h"
#include "data/files.h"

#include <malloc.h>

#include <csignal>
#include <cstdio>
#include <new>

namespace {

/// Keeps freed arrays in the process: every training step asks for the same sizes again, and memory fresh from the
/// system would cost a page fault for every 4 KiB.
void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
#ifndef __SANITIZE_ADDRESS__  // which watches what operator new gives
  orthoread::ArrayMemory::install();
#endif
}

int run(int argc, char** argv) {
  using namespace orthoread;
  int exit_code = kUsage;
  CLI::App program("Trains and evaluates an mLSTM whose matrix memory is orthogonalized when it is read.", "orthoread");
  program.set_version_flag("--version", ORTHOREAD_VERSION);
  program.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);  // of a flag given twice
  program.require_subcommand(0, 1);
  program.final_callback([&program] {  // here, so that an unknown command is named instead
    if (program.get_subcommands().empty()) throw CLI::RequiredError("A command");
  });
  add_data_command(program, exit_code);
  add_train_command(program, exit_code);
  add_eval_command(program, exit_code);
  add_gradcheck_command(program, exit_code);
  add_bench_command(program, exit_code);
  add_info_command(program, exit_code);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);  // --help, --version
    fmt::print(stderr, "orthoread: {} (orthoread{} --help lists what is allowed)\n", error.what(),
               program.get_subcommands().empty() ? "" : " " + program.get_subcommands()[0]->get_name());
    return kUsage;
  } catch (const StorageError& error) {
    fmt::print(stderr, "orthoread: {}\n", error.what());
    return kFailed;
  } catch (const Error& error) {
    fmt::print(stderr, "orthoread: {}\n", error.what());
    return kUsage;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "orthoread: out of memory; a smaller --batch-size or --seq-len needs less\n");
    return kFailed;
  }
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
#ifdef SIGXFSZ
  std::signal(SIGXFSZ, SIG_IGN);  // a file-size limit is an error of write(), with a message, like a full disk
#endif
  const int exit_code = run(argc, argv);
  if (std::fflush(stdout) != 0) {
    std::fputs("orthoread: cannot write to stdout\n", stderr);
    return orthoread::kFailed;
  }
  return exit_code;
}
