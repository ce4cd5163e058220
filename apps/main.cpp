#include "apps/array_memory.h"
#include "apps/commands.h"
#include "apps/console.h"
#include "apps/environment.h"
#include "core/check.h"
#include "core/parallel.h"
#include "data/files.h"

#include <malloc.h>
#include <sys/prctl.h>

#include <csignal>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <system_error>

namespace {

using namespace orthoread;

/// Keeps freed memory in the process: every training step allocates the same sizes again, and fresh memory would cost a
/// page fault for every 4 KiB.
void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
#ifndef ORTHOREAD_ADDRESS_SANITIZER  // AddressSanitizer checks only what operator new returns
  ArrayMemory::install();
#endif
}

int failed(int exit_code, std::string_view message) {
  log(fmt::format("orthoread: {}\n", printable(message)));
  return exit_code;
}

int run(int argc, char** argv) {
  CommandLine program(
      "orthoread", "Trains and evaluates an mLSTM whose matrix memory is orthogonalized when it is read.", version());
  add_data_command(program);
  add_train_command(program);
  add_eval_command(program);
  add_sweep_command(program);
  add_probe_command(program);
  add_explain_command(program);
  add_gradcheck_command(program);
  add_graph_command(program);
  add_bench_command(program);
  add_report_command(program);
  add_info_command(program);
  try {
    return program.run(argc, argv);
  } catch (const StorageError& error) {
    return failed(kFailed, error.what());
  } catch (const Error& error) {
    return failed(kUsage, error.what());
  } catch (const std::filesystem::filesystem_error& error) {
    return failed(kUsage, fmt::format("cannot use {}: {}", error.path1().string(), error.code().message()));
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::resource_unavailable_try_again) return failed(kFailed, error.what());
    return failed(kFailed, fmt::format("cannot start {} threads: {}; use a smaller --threads", threads(),
                                       error.code().message()));
  } catch (const std::bad_alloc&) {
    return failed(kFailed, "out of memory; use a smaller --batch-size or --seq-len");
  } catch (const std::length_error&) {  // a size above a container's max_size()
    return failed(kFailed, "out of memory; use smaller sizes");
  } catch (const std::exception& error) {
    return failed(kFailed, fmt::format("internal error: {}", error.what()));
  }
}

}  // namespace

int main(int argc, char** argv) {
  prepare_console();
  prctl(PR_SET_NAME, "orthoread");  // else ps and top call a sweep's runs "exe", after /proc/self/exe
  keep_freed_memory();
#ifdef SIGXFSZ
  std::signal(SIGXFSZ, SIG_IGN);  // beyond a file-size limit write() fails, with a message, as on a full disk
#endif
  const int exit_code = run(argc, argv);
  const std::string reason = finish_stdout();
  return reason.empty() ? exit_code : failed(kFailed, "cannot write to stdout: " + reason);
}
