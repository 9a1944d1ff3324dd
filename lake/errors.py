"""Every error that leaves Millrace: one tree, one exit code each, a message that tells the next step.

    LakeError (1)
    ├── SettingsWrong (64)     the environment or the project lacks something that a run needs
    ├── ContractBroken (65)    a contract, a suite or a job declaration is wrong, or breaks what stands
    ├── SourceMissing (66)     a raw source, a table or a version that should be there is not
    ├── StoreUnreachable (69)  the object store does not answer, or refuses us
    ├── BatchRefused (70)      the gate refused a batch: nothing of it is visible
    ├── TrainingFailed (71)    a training process ended badly; its own error is on top
    ├── RunFailed (72)         a job's own code raised; the table stands as it stood
    ├── FileChanged (73)       a raw file changed while it was read: the next run takes it as a new edition
    └── Busy (75)              another writer is at work; try again when it has ended

Exit codes 64 to 75 follow sysexits.h where it has a word for the case (EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_UNAVAILABLE, EX_TEMPFAIL).
"""

from __future__ import annotations


class LakeError(Exception):
    """What went wrong, where and why, and in `next_step` the command or the edit that mends it."""

    exit_code = 1

    def __init__(self, what: str, *, next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.what}\n  next: {self.next_step}" if self.next_step else self.what

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive pickling on their own, and errors of workers travel pickled.
        return (_again, (type(self), self.what, self.next_step, {k: v for k, v in vars(self).items() if k not in ("what", "next_step")}))


def _again(kind: type[LakeError], what: str, next_step: str, rest: dict[str, object]) -> LakeError:
    error = kind.__new__(kind)
    Exception.__init__(error, what)
    error.what, error.next_step = what, next_step
    error.__dict__.update(rest)
    return error


class SettingsWrong(LakeError):
    """The environment or the project lacks something that a run needs."""

    exit_code = 64


class ContractBroken(LakeError):
    """A contract, a suite or a job declaration is wrong, or breaks the one that the table was made by."""

    exit_code = 65


class SourceMissing(LakeError):
    """A raw source, a table or a version that should be there is not."""

    exit_code = 66


class StoreUnreachable(LakeError):
    """The object store does not answer, or refuses the keys that we have."""

    exit_code = 69


class BatchRefused(LakeError):
    """The gate refused a batch: nothing of it is visible, and its verdict stands in ops.checks."""

    exit_code = 70


class TrainingFailed(LakeError):
    """A training process ended badly; its own error is on top."""

    exit_code = 71


class RunFailed(LakeError):
    """A job's own code raised; its table stands as it stood before the run."""

    exit_code = 72


class FileChanged(LakeError):
    """A raw file changed between listing and reading: the next run takes it as a new edition."""

    exit_code = 73


class Busy(LakeError):
    """Another writer is at work on the same lake or table."""

    exit_code = 75
