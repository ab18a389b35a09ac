"""A real SLURM on this machine: munge, slurmctld and slurmd of Debian's packages, on loopback, with made-up GPUs."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from pathlib import Path

CONFIGURATION = Path("/etc/slurm")
MARK = "# Written by Earmark's tests/slurm/cluster.py; taken away when the cluster stops.\n"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
READY_SECONDS = 30
CPUS = 2  # as on a small machine anywhere, so that faults of a plan in seconds find jobs to strike
UP = ("idle", "mix", "alloc", "comp")  # states of a node that takes jobs, as sinfo's %t prints them


def why_not() -> str | None:
    """Say why no cluster can be started here; None when one can."""
    lacking = [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]
    if os.geteuid():
        return "needs root, to start munge, slurmctld and slurmd"
    if lacking:
        return f"needs {', '.join(lacking)}: apt-get install --no-install-recommends slurm-wlm munge"
    file = CONFIGURATION / "slurm.conf"
    if file.exists() and not file.read_text().startswith(MARK):
        return f"{file} is there: this machine belongs to a cluster"
    return None


class Cluster:
    """One controller and one node, with two CPUs at most and two GPUs that are none.

    State, logs and spool lie in `folder`. Memory is watched each second and a job above its own is killed. A job put in
    the queue again waits 16 s, not SLURM's two minutes. Used as a context: leaving it ends all daemons that it started
    and takes its configuration away.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.node = socket.gethostname().split(".")[0]
        self._munge = False

    def __enter__(self) -> "Cluster":
        for name in ("state", "spool", "log"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        CONFIGURATION.mkdir(exist_ok=True)
        (CONFIGURATION / "slurm.conf").write_text(MARK + self._configuration())
        (CONFIGURATION / "gres.conf").write_text("Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n")
        try:
            self._start_munge()
            _run("slurmctld", "-c")
            self.start_slurmd()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):  # of a controller that does not answer
            subprocess.run(["scancel", "--user=root"], capture_output=True, timeout=30, check=False)
        for name in ("slurmd", "slurmctld"):
            self._kill(self.folder / f"{name}.pid", signal.SIGTERM)
        if self._munge:
            self._kill(Path("/run/munge/munged.pid"), signal.SIGTERM)
        for name in ("slurm.conf", "gres.conf"):
            (CONFIGURATION / name).unlink(missing_ok=True)

    def start_slurmd(self) -> None:
        """Start the node's daemon and wait until the node takes jobs."""
        _run("slurmd")
        self._wait_until_up()

    def kill_slurmd(self) -> None:
        """Kill the node's daemon without warning; the steps of its jobs live on."""
        self._kill(self.folder / "slurmd.pid", signal.SIGKILL)

    def set_node_down(self) -> None:
        """Set the node down: its jobs end, and are put in the queue again."""
        _run("scontrol", "update", f"NodeName={self.node}", "State=DOWN", "Reason=test")

    def set_node_up(self) -> None:
        """Let the node take jobs again; its daemon may have done so itself."""
        command = ("scontrol", "update", f"NodeName={self.node}", "State=RESUME")
        subprocess.run(command, capture_output=True, timeout=60, check=False)
        self._wait_until_up()

    def jobs(self, *states: str) -> list[str]:
        """List the ids of the jobs in some states, array tasks one by one."""
        text = _run("squeue", "--noheader", "--array", f"--states={','.join(states)}", "--format=%i")
        return text.split()

    def ends(self, folder: Path) -> dict[str, int]:
        """Count how the jobs of a checkout ended, by SLURM's states."""
        text = _run("squeue", "--noheader", "--array", "--states=all", "--format=%T|%Z")
        rows = (line.split("|") for line in text.splitlines())
        return dict(Counter(state for state, workdir in rows if workdir == str(folder)))

    def _wait_until_up(self) -> None:
        end = time.monotonic() + READY_SECONDS
        while True:
            found = subprocess.run(
                ["sinfo", "--noheader", "--format=%t"], capture_output=True, text=True, env=_environment(), check=False
            )
            state = found.stdout.strip()
            if state in UP:
                return
            if time.monotonic() > end:
                raise RuntimeError(
                    f"the node is {state!r} ({found.stderr.strip()}), wanted {UP}; see {self.folder}/log"
                )
            time.sleep(0.2)

    def _start_munge(self) -> None:
        if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0:
            return
        for name in ("/run/munge", "/var/lib/munge", "/var/log/munge"):
            Path(name).mkdir(exist_ok=True)
            shutil.chown(name, "munge", "munge")
        if not Path("/etc/munge/munge.key").exists():
            _run("mungekey", "--create")
        Path("/run/munge").chmod(0o755)
        _run("runuser", "-u", "munge", "--", "/usr/sbin/munged")
        self._munge = True

    def _kill(self, file: Path, number: int) -> None:
        """Signal the process whose id is in a file, and wait until it is gone."""
        if not file.exists():
            return
        pid, end = int(file.read_text()), time.monotonic() + 10
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        with contextlib.suppress(OSError):
            while time.monotonic() < end and ") Z" not in Path(f"/proc/{pid}/stat").read_text():
                time.sleep(0.1)
        file.unlink(missing_ok=True)

    def _configuration(self) -> str:
        megabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        cpus = min(CPUS, os.cpu_count())
        return f"""ClusterName=earmark
SlurmctldHost={self.node}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=cred_expire=15
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=5,bf_interval=5
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
MinJobAge=3600
MpiDefault=none
KillWait=10
GresTypes=gpu
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd.pid
SlurmctldLogFile={self.folder}/log/slurmctld.log
SlurmdLogFile={self.folder}/log/slurmd.log
NodeName={self.node} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={int(megabytes * 0.85)} Gres=gpu:2 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": _PATH}


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(), timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return done.stdout
