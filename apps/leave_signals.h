// The signals that ask a run, or a sweep, to save and leave.
#pragma once

#include <csignal>

namespace orthoread {

inline constexpr int kLeaveSignals[] = {SIGINT, SIGTERM, SIGUSR1, SIGHUP};

/// Those of them that this process follows, as a set. A terminal that closes sends SIGHUP; a process that was started
/// to outlive it (nohup) ignores that.
inline sigset_t leave_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kLeaveSignals) sigaddset(&set, signal);
  struct sigaction hangup = {};
  if (sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler == SIG_IGN) sigdelset(&set, SIGHUP);
  return set;
}

}  // namespace orthoread
