"""A process that has imported what a `lake` command imports, and forks one for each order: a real process to kill, 9 s of imports cheaper.

It reads orders from its standard input, a JSON line each: {"args": [...], "env": {...}, "out": path}; it answers {"pid": n}, and {"ended": n,
"code": c} when that child has gone. Each child leads a session of its own, has no Spark yet, and starts its own JVM, as any command does.
The end of the input ends it.
"""

from __future__ import annotations

import atexit
import json
import os
import random
import select
import sys
import time
from typing import Any


def main() -> None:
    """Take orders until the input ends."""
    import deltalake  # noqa: F401
    import pyspark.sql.functions  # noqa: F401

    import lake.cli
    import lake.doctor
    import lake.night
    import lake.restore
    import lake.run.tables
    import lake.upkeep  # noqa: F401
    from lake.gate import batch

    batch.ready()
    say({"ready": True})
    waiting = b""
    living: set[int] = set()
    while True:
        if select.select([0], [], [], 0.05)[0]:
            got = os.read(0, 65536)
            if not got:
                return
            *lines, waiting = (waiting + got).split(b"\n")
            for line in lines:
                pid = forked(json.loads(line))
                living.add(pid)
                say({"pid": pid})
        for pid in list(living):
            gone, status = os.waitpid(pid, os.WNOHANG)
            if gone:
                living.discard(pid)
                say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def forked(order: dict[str, Any]) -> int:
    """Fork a child that runs `lake ARGS` in the given environment."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        out = os.open(order["out"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for fd, at in ((out, 1), (out, 2), (nothing, 0)):
            os.dup2(fd, at)
        os.environ.clear()
        os.environ.update(order["env"])
        time.tzset()
        random.seed()
        sys.argv = ["lake", *order["args"]]
        from lake.cli import main as lake_command

        lake_command()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1 if end.code else 0
    except BaseException:  # noqa: BLE001  a child must never come back into its parent's loop
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        atexit._run_exitfuncs()
        os._exit(code)


def say(words: dict[str, Any]) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")


if __name__ == "__main__":
    main()
