#include "apps/array_memory.h"
#include "apps/commands.h"
#include "apps/console.h"
#include "core/check.h"
#include "core/parallel.h"
#include "data/files.h"

#include <malloc.h>

#include <csignal>
#include <filesystem>
#include <new>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace {

using namespace orthoread;

/// Keeps freed arrays in the process: every training step asks for the same sizes again, and memory fresh from the
/// system would cost a page fault for every 4 KiB.
void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
#ifndef __SANITIZE_ADDRESS__  // which watches what operator new gives
  ArrayMemory::install();
#endif
}

int failed(int exit_code, std::string_view message) {
  log(fmt::format("orthoread: {}\n", printable(message)));
  return exit_code;
}

int run(int argc, char** argv) {
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
  add_sweep_command(program, exit_code);
  add_probe_command(program, exit_code);
  add_gradcheck_command(program, exit_code);
  add_bench_command(program, exit_code);
  add_report_command(program, exit_code);
  add_info_command(program, exit_code);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help, --version
      std::ostringstream text;
      program.exit(error, text);
      write_to_stdout(text.str());
      return kDone;
    }
    const std::string command = program.get_subcommands().empty() ? "" : " " + program.get_subcommands()[0]->get_name();
    return failed(kUsage, fmt::format("{} (orthoread{} --help lists what is allowed)", error.what(), command));
  } catch (const StorageError& error) {
    return failed(kFailed, error.what());
  } catch (const Error& error) {
    return failed(kUsage, error.what());
  } catch (const std::filesystem::filesystem_error& error) {
    return failed(kUsage, fmt::format("cannot use {}: {}", error.path1().string(), error.code().message()));
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::resource_unavailable_try_again) return failed(kFailed, error.what());
    return failed(kFailed, fmt::format("cannot start {} threads: {}; a smaller --threads needs fewer", threads(),
                                       error.code().message()));
  } catch (const std::bad_alloc&) {
    return failed(kFailed, "out of memory; a smaller --batch-size or --seq-len needs less");
  } catch (const std::length_error&) {  // more than any container holds
    return failed(kFailed, "out of memory; smaller sizes need less");
  } catch (const std::exception& error) {
    return failed(kFailed, fmt::format("internal error: {}", error.what()));
  }
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  prepare_console();
  keep_freed_memory();
#ifdef SIGXFSZ
  std::signal(SIGXFSZ, SIG_IGN);  // a file-size limit is an error of write(), with a message, like a full disk
#endif
  const int exit_code = run(argc, argv);
  const std::string reason = finish_stdout();
  return reason.empty() ? exit_code : failed(kFailed, "cannot write to stdout: " + reason);
}
