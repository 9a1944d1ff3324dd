"""Launching a training: always in fresh child processes, by torchrun, by Spark's TorchDistributor, or alone."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args

import lake.errors as errors
from lake.errors import LakeError, SettingsWrong, TrainingFailed
from lake.models.candidate import CARD, Candidate
from lake.models.spec import FineTune
from lake.table import Manifest

Launcher = Literal["torchrun", "spark", "alone"]
REQUEST, LOG, RANKS = "request.json", "train.log", "ranks"


def train_apart(
    spec: FineTune,
    manifest: Manifest,
    out_dir: Path,
    *,
    launcher: Launcher = "torchrun",
    processes: int | None = None,
    champion: Path | None = None,
    say: Callable[[str], None] = print,
    environment: Mapping[str, str] | None = None,
) -> Candidate:
    """Train in child processes (torch never enters this one) and return what came of it; each line they print goes to `say`.

    `out_dir` keeps the checkpoints: called again after a kill, with the same spec and manifest, it goes on from the last one.

    Raises:
        TrainingFailed: a rank failed; its own error is on top, whatever the others said when they lost it.
        LakeError: of another kind, when that is what the rank raised (a contract, a source).
    """
    if launcher not in get_args(Launcher):
        raise SettingsWrong(f"launcher {launcher!r} is not one of {', '.join(get_args(Launcher))}", next_step="choose one of them")
    count = 1 if launcher == "alone" else processes or spec.processes
    out_dir = out_dir.absolute()
    out_dir.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(out_dir / RANKS, ignore_errors=True)
    if (made := _made_before(spec, manifest, out_dir / "model")) is not None:
        say("it was trained to the end before: nothing is left to do")
        return made
    for old in out_dir.glob("failure-*.json"):
        old.unlink()
    request = out_dir / REQUEST
    asked = {
        "spec": asdict(spec),
        "manifest": json.loads(manifest.to_json()),
        "champion": str(champion.absolute()) if champion else None,
        "started": time.time(),
        "launcher": [socket.gethostname(), os.getpid()],
        "processes": count,
    }
    request.write_text(json.dumps(asked))
    lines = _run(_command(launcher, request), out_dir / LOG, _environment(count, out_dir, environment), say)
    if lines is not None:
        # Rank 0 writes the card last, when all ranks have done their part: one that broke down after it (a thread of some C++ library
        # at the end of Python: 1 of 60 trainings of the suite) takes nothing from the model.
        if (made := _made_before(spec, manifest, out_dir / "model")) is None:
            raise _failure(out_dir, lines)
        say("the model is whole, though a rank broke down after it had done its part")
        return made
    return Candidate.of(out_dir / "model")


def _made_before(spec: FineTune, manifest: Manifest, folder: Path) -> Candidate | None:
    """What an earlier call with the same spec and manifest made, before it was killed on its way to the registry."""
    if not (folder / CARD).is_file():
        return None
    made = Candidate.of(folder)
    return made if (made.spec, made.manifest) == (spec, manifest) else None


def _command(launcher: Launcher, request: Path) -> list[str]:
    if launcher == "alone":
        return [sys.executable, "-m", "lake.models.train", str(request)]
    return [sys.executable, "-m", "lake.models.launch", launcher, str(request)]


def _environment(processes: int, out_dir: Path, more: Mapping[str, str] | None) -> dict[str, str]:
    code = str(Path(__file__).parents[2])  # where `lake` is, should it not be installed
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ours = {
        "PYTHONPATH": os.pathsep.join(filter(None, (code, os.environ.get("PYTHONPATH")))),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(max(1, cores // processes)),  # torchrun warns and takes 1 when it is unset
        "PET_LOG_DIR": str(out_dir / RANKS),  # torchrun's --log-dir, also below Spark: else each training leaves a /tmp/torchelastic_*
        "TOKENIZERS_PARALLELISM": "false",
        "TORCH_CPP_LOG_LEVEL": "ERROR",  # gloo's talk about host names
    }
    return {**os.environ, **ours, **(more or {})}


def _run(command: list[str], log: Path, environment: Mapping[str, str], say: Callable[[str], None]) -> list[str] | None:
    """Run to the end; None when it ended well, else its last lines."""
    last: list[str] = []
    # On a terminal the bar of rank 0 is drawn on our own stderr; in a log, everything is lines.
    errors_to = None if sys.stderr.isatty() else subprocess.STDOUT
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=errors_to,
        stdin=subprocess.DEVNULL,
        env=dict(environment),
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        with log.open("w") as kept:
            for line in child.stdout or ():
                kept.write(line)
                kept.flush()
                last = [*last[-199:], line.rstrip()]
                if line.strip() and not _NOISE.match(line):
                    say(line.rstrip())
        return None if child.wait() == 0 else last
    finally:
        if child.poll() is None:  # we were interrupted: nobody is left to train for
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


# What torchrun, Spark and log4j say at every start, and the traces that stand in the log file
_NOISE = re.compile(
    r"\d\d/\d\d/\d\d .*(INFO|WARN)|[WI]\d{4} |WARNING: |Using Spark's|Setting default log level|To adjust logging|\s*$|={10}|-{10}|Picked up"
)


def _failure(folder: Path, lines: list[str]) -> LakeError:
    """The error of the rank that failed first, out of what the ranks wrote and what torchrun saw."""
    next_step = f"read {folder / LOG}"
    killed = [
        (int(rank), int(code)) for rank, code in _DIED.findall("\n".join(lines)) if int(code) in (-signal.SIGKILL, -signal.SIGSEGV, -signal.SIGBUS)
    ]
    for rank, code in killed:  # such a rank leaves no word of its own, and the others only that they lost it
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if -code == signal.SIGKILL else ""
        return TrainingFailed(
            f"rank {rank} was ended by {name}{hint}",
            next_step=f"run it again: it goes on from the last checkpoint; or {next_step}",
        )
    told = sorted((json.loads(f.read_text()) for f in folder.glob("failure-*.json")), key=lambda t: t["at"])
    if told:
        first: dict[str, Any] = told[0]
        kind = getattr(errors, first["kind"], TrainingFailed)
        return kind(f"rank {first['rank']}: {first['what']}", next_step=first["next_step"] or next_step)
    return TrainingFailed("the training ended without a word of its ranks:\n" + "\n".join(lines[-15:]), next_step=next_step)


_DIED = re.compile(r"rank\s*: (\d+) .*?\n(?:.*\n)??\s*exitcode\s*: (-?\d+)")


def by_gpus(asked: int, gpus: int) -> int:
    """Processes on this machine: no more than it has GPUs, for NCCL wants one for each; as many as asked where there is none."""
    if not 0 < gpus < asked:
        return asked
    print(f"{asked} processes are asked for, this machine has {gpus} GPU{'s' if gpus > 1 else ''}: training with {gpus}", flush=True)
    return gpus


def _by_torchrun(request: str) -> None:
    """The child process of launcher 'torchrun'; it has torch, so it is the one to count GPUs."""
    import torch
    from torch.distributed.run import main

    count = by_gpus(json.loads(Path(request).read_text())["processes"], torch.cuda.device_count())
    # --standalone: a free port of its own, so that two trainings on a machine do not meet
    main(["--standalone", f"--nproc-per-node={count}", "-m", "lake.models.train", request])


def _by_spark(request: str) -> None:
    """The child process of launcher 'spark': a SparkSession, and TorchDistributor over it.

    On a local master the ranks are children of the driver; on a cluster they are barrier tasks on the executors, and the
    request's folder must be on a disk that all of them see.
    """
    import torch
    from pyspark.ml.torch.distributor import TorchDistributor

    from lake.models.train import train_as_asked
    from lake.session import spark_session
    from lake.settings import Settings
    from lake.store import open_store

    processes: int = json.loads(Path(request).read_text())["processes"]
    spark = spark_session(Settings.load(), open_store(), "millrace training")
    try:
        local = str(spark.sparkContext.master).startswith("local")
        if local:
            processes = by_gpus(processes, torch.cuda.device_count())
        # use_gpu=False: Spark hands out no GPUs; a rank takes the GPU of its local rank by itself
        TorchDistributor(num_processes=processes, local_mode=local, use_gpu=False).run(train_as_asked, request)
    finally:
        spark.stop()


if __name__ == "__main__":
    {"torchrun": _by_torchrun, "spark": _by_spark}[sys.argv[1]](sys.argv[2])
