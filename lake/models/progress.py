"""Progress: a bar on a terminal, a line every few seconds in a log."""

from __future__ import annotations

import sys
import time
from typing import Any

SPOKEN_EVERY = 5.0  # seconds between lines in a log


class Progress:
    """How far a training is; only rank 0 says it."""

    def __init__(self, speaks: bool, steps: int, done: int) -> None:
        self.speaks, self.steps, self.spoken = speaks, steps, time.time()
        self.begun, self.done_before = time.time(), done
        self.bar: Any = None
        if speaks and sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=steps, initial=done, unit="step", dynamic_ncols=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def steps_are(self, steps: int) -> None:
        """The plan has changed."""
        self.steps = steps
        if self.bar is not None:
            self.bar.total = steps

    def at(self, step: int, epoch: int, loss: float) -> None:
        """A step is done."""
        if self.bar is not None:
            self.bar.update(step - self.bar.n)
            self.bar.set_postfix(epoch=epoch + 1, loss=f"{loss:.3f}", refresh=False)
        elif time.time() - self.spoken >= SPOKEN_EVERY or step == self.steps:
            self.spoken = time.time()
            left = (self.spoken - self.begun) / max(1, step - self.done_before) * (self.steps - step)
            self.line(f"step {step}/{self.steps}, epoch {epoch + 1}, loss {loss:.4f}, {left:.0f} s left")

    def line(self, text: str) -> None:
        """A line that stays."""
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        elif self.speaks:
            say(text)


def say(line: str) -> None:
    """A line of a child process, whose output is the log that lake.models.launch reads line by line."""
    print(line, flush=True)
