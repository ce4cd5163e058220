#!/usr/bin/env python3
"""Tests apps/cluster/ with real schedulers: a sweep by Slurm and one by GNU parallel, both interrupted.

Starts Slurm's two daemons and munge as the calling user, in a folder and on ports of their own: one node of two CPUs.
slurm.sbatch submits a job array and the report. One task gets USR1 halfway, as before preemption: it must be requeued and
continue, and the report must wait for it. parallel.sh is interrupted and called again. Both sweeps must end with the same
metrics.jsonl and model.safetensors, byte for byte, as an undisturbed one.

usage: tests/cluster.py PROGRAM
"""

import collections
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parent.parent / "apps" / "cluster"
PATIENCE = 40  # seconds for whatever is waited for
GRID = {"name": "cluster",
        "fixed": {"vocab_size": 24, "seq_len": 64, "noise_vocab_size": 8, "frac_noise": 0.5, "dim": 32, "batch_size": 8,
                  "lr": 0.01, "steps": 300, "eval_every": 50, "val_batches": 2, "checkpoint_every": 300},
        "vary": {"read": ["raw", "ns1"], "seed": [1, 2]}}
RUNS = 4
MIDDLE = 30  # the step after which a run is disturbed


class CannotTest(Exception):
    """This machine lacks what the test needs."""


def need(*commands):
    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        raise CannotTest(f"{', '.join(missing)} not installed")


def wait_for(what, happened):
    end = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > end:
            raise RuntimeError(f"no {what} in {PATIENCE} s")
        time.sleep(0.1)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Slurm:
    """One node of two CPUs, as long as it is entered."""

    def __init__(self, folder):
        self.folder, self.daemons = folder, {}
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def __enter__(self):
        try:
            self.start_all()
        except RuntimeError as error:
            self.__exit__()
            raise CannotTest(f"its daemons do not start here: {error}") from error
        return self

    def start_all(self):
        folder = self.folder
        for name in ("munge", "state", "spool"):
            (folder / name).mkdir(mode=0o700, parents=True)
        key = folder / "munge" / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        host = socket.gethostname().split(".")[0]
        user = subprocess.check_output(["id", "-un"], text=True).strip()
        controller_port, node_port = free_ports(2)
        (folder / "slurm.conf").write_text(f"""ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SchedulerParameters=sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=8192 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
""")
        munge = folder / "munge"
        self.start("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={munge}/socket",
                   f"--pid-file={munge}/pid", f"--log-file={munge}/log", f"--seed-file={munge}/seed")
        wait_for("munge", lambda: self.all_there() and (munge / "socket").exists())
        self.start("slurmctld", "-D", "-f", str(folder / "slurm.conf"))
        self.start("slurmd", "-D", "-f", str(folder / "slurm.conf"))
        wait_for("idle node", lambda: "idle" in self.ask("sinfo", "--noheader", "--format=%t", check=False))

    def start(self, *command):
        with open(self.folder / f"{command[0]}.log", "w") as log:
            self.daemons[command[0]] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                        env=self.environment)

    def all_there(self):
        for name, daemon in self.daemons.items():
            if daemon.poll() is not None:
                last = (self.folder / f"{name}.log").read_text().strip().rpartition("\n")[2]
                raise RuntimeError(f"{name} has ended: {last}")
        return True

    def run(self, *command):
        return subprocess.run(command, env=self.environment, capture_output=True, text=True)

    def ask(self, *command, check=True):
        self.all_there()
        result = self.run(*command)
        if check and result.returncode != 0:
            raise RuntimeError(f"{command[0]}: {result.stderr.strip()}")
        return result.stdout

    def __exit__(self, *_):
        if "slurmd" in self.daemons:  # jobs would outlive it
            self.run("scancel", "--user", str(os.getuid()))
            end = time.monotonic() + 10
            while self.run("squeue", "--noheader").stdout and time.monotonic() < end:
                time.sleep(0.2)
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def results(folder):
    """What must not depend on how it came about."""
    files = [file for name in ("metrics.jsonl", "model.safetensors") for file in folder.glob(f"runs/*/{name}")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


class Sweep:
    """A sweep of the grid into a folder of its own."""

    def __init__(self, program, work, name):
        self.program, self.grid, self.folder = program, work / "grid.json", work / name
        self.environment = {**os.environ, "ORTHOREAD": program}

    def list(self):
        listed = subprocess.check_output([self.program, "sweep", str(self.grid), "--out", str(self.folder), "--list",
                                          "--json"])
        return json.loads(listed)

    def in_the_middle(self, index):
        """A function that says whether the run is at work, past MIDDLE."""
        metrics = pathlib.Path(self.list()[index]["folder"]) / "metrics.jsonl"
        return lambda: metrics.exists() and metrics.read_bytes().count(b"\n") > MIDDLE

    def log(self, index):
        return (pathlib.Path(self.list()[index]["folder"]) / "log.txt").read_text()

    def interrupted_once(self, index):
        log = self.log(index)
        counts = [len(re.findall(words, log)) for words in (r"interrupted after step \d+", r"continues after step \d+")]
        return counts == [1, 1] or f"run {index} was not interrupted and continued once, its log: {log!r}"


# Both return lines of what is wrong: none, if all is well.


def by_slurm(sweep, whole, work):
    need("munged", "slurmctld", "slurmd", "sbatch", "sinfo", "scontrol", "scancel")
    wrong = []
    with Slurm(work / "slurm") as slurm:
        script = ["bash", str(SOURCE / "slurm.sbatch"), str(sweep.grid), str(sweep.folder)]
        environment = {**slurm.environment, "ORTHOREAD": sweep.program, "CHUNK": "2"}

        def submit():
            return subprocess.run(script, cwd=work, env=environment, capture_output=True, text=True)

        def job(name):
            shown = slurm.ask("scontrol", "show", "job", name, "--oneliner", check=False)
            return dict(word.split("=", 1) for word in shown.split() if "=" in word)

        submitted = submit()
        match = re.fullmatch(r"job (\d+): indices 0-1\nSubmitted batch job (\d+)\n", submitted.stdout)
        if not match:
            return [f"slurm.sbatch submits the wrong things: {submitted.stdout} {submitted.stderr}"]
        array, report = match.groups()
        task = f"{array}_1"
        wait_for("run in the middle", sweep.in_the_middle(2))
        slurm.ask("scancel", "--batch", "--signal=USR1", task)
        wait_for("requeued task", lambda: job(task).get("Restarts") == "1" and job(task)["JobState"] == "PENDING")
        if job(report).get("JobState") != "PENDING":
            wrong.append(f"the report did not wait for the task that was put back: {job(report)}")
        # Slurm has a task that was put back wait for two minutes. A moment is enough: the node refuses what it has killed
        # in the same second.
        slurm.ask("scontrol", "update", f"JobId={task}", "StartTime=now+3")
        wait_for("end of the report", lambda: job(report).get("JobState") in ("COMPLETED", "FAILED"))
        for name in (f"{array}_0", task, report):
            if job(name).get("JobState") != "COMPLETED":
                wrong.append(f"job {name} is {job(name).get('JobState')}, exit code {job(name).get('ExitCode')}")
        again = submit()
        if not again.stdout.startswith("nothing is left to do"):
            wrong.append(f"slurm.sbatch submits again: {again.stdout} {again.stderr}")
    log = work / f"orthoread-{array}_1.log"
    restarted = log.read_text().count("index 1, by SLURM_ARRAY_TASK_ID")
    if restarted != 2:
        wrong.append(f"the task's log tells of {restarted} starts, not of 2: {log.read_text()}")
    if (once := sweep.interrupted_once(2)) is not True:
        wrong.append(once)
    if results(sweep.folder) != whole:
        wrong.append("Slurm's runs have other bits than undisturbed ones")
    comparison = json.loads((sweep.folder / "report" / "comparison.json").read_text())
    if comparison["runs"] != RUNS or comparison["unfinished"]:
        wrong.append(f"the report is of {comparison['runs']} runs, unfinished: {comparison['unfinished']}")
    return wrong


def by_parallel(sweep, whole, _):
    need("parallel")
    wrong = []
    command = ["bash", str(SOURCE / "parallel.sh"), str(sweep.grid), str(sweep.folder), "--jobs", "2"]

    def start():
        return subprocess.Popen(command, env=sweep.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, start_new_session=True)

    first = start()
    wait_for("run in the middle", sweep.in_the_middle(0))
    os.killpg(first.pid, signal.SIGINT)  # as Ctrl-C does
    said = first.communicate(timeout=PATIENCE)[0]
    states = collections.Counter(run["state"] for run in sweep.list())
    if first.returncode == 0 or states["interrupted"] < 1 or states["running"] or states["failed"]:
        wrong.append(f"interrupted, parallel.sh ends with {first.returncode} and runs that are {dict(states)}: {said}")
    second = start()
    said = second.communicate(timeout=PATIENCE)[0]
    if second.returncode != 0:
        wrong.append(f"parallel.sh ends with {second.returncode}: {said}")
    if (once := sweep.interrupted_once(0)) is not True:
        wrong.append(once)
    if results(sweep.folder) != whole:
        wrong.append("GNU parallel's runs have other bits than undisturbed ones")
    return wrong


def main():
    program, begin, failed = str(pathlib.Path(sys.argv[1]).resolve()), time.monotonic(), False
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        (work / "grid.json").write_text(json.dumps(GRID))
        undisturbed = Sweep(program, work, "undisturbed")
        subprocess.run([program, "sweep", str(undisturbed.grid), "--out", str(undisturbed.folder), "--quiet"], check=True)
        whole = results(undisturbed.folder)
        assert len(whole) == 2 * RUNS
        for name, test in (("GNU parallel", by_parallel), ("Slurm", by_slurm)):
            try:
                wrong = test(Sweep(program, work, name), whole, work)
            except CannotTest as reason:
                print(f"cluster: {name} was not tested, {reason}")
                continue
            except (RuntimeError, subprocess.SubprocessError) as error:
                wrong = [str(error)]
            for line in wrong:
                print(f"cluster: {name}: {line}", file=sys.stderr)
            if not wrong:
                print(f"cluster: {name}: {RUNS} runs, disturbed on the way, with the same bits", flush=True)
            failed = failed or bool(wrong)
    print(f"cluster: {time.monotonic() - begin:.0f} s")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
