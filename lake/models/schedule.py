"""Schedule: how many steps a budget allows, and the learning rate of each step; pure arithmetic, so that a card can repeat it.

A plan is a list of (from step, steps in all). It begins as one pair; when a machine turns out slower or faster than
measured, another pair is added, and the rate goes on from where it is, in a line to 0 at the new end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lake.models.spec import FineTune

Plan = Sequence[tuple[int, int]]


def learning_rate(spec: FineTune, step: int, plan: Plan) -> float:
    """The rate of a step (from 0): up in a line to the spec's, then down in a line to 0, or level."""
    first = plan[0][1]
    warm = math.ceil(spec.warm_up * first)
    if step < warm:
        return spec.learning_rate * (step + 1) / (warm + 1)
    if spec.schedule == "constant":
        return spec.learning_rate
    begin, end, rate = warm, first, spec.learning_rate
    for later, new_end in plan[1:]:
        if step < later:
            break
        rate *= (end - later) / max(1, end - begin)
        begin, end = later, new_end
    return rate * max(0, end - step) / max(1, end - begin)


def steps_that_fit(seconds: float, step: float, epoch_steps: int, epoch_end: float, at: int, most: int) -> int:
    """Steps in all when so many seconds are left at step `at`: each epoch, the last part of one too, ends with a judgement.

    At least one more than `at`, at most `most`.
    """
    to_epoch_end = epoch_steps - at % epoch_steps
    more = 0
    if seconds >= to_epoch_end * step + epoch_end:
        more, seconds = to_epoch_end, seconds - to_epoch_end * step - epoch_end
        epochs, seconds = divmod(seconds, epoch_steps * step + epoch_end)
        more += int(epochs) * epoch_steps
    more += max(0, int((seconds - epoch_end) / step))
    return max(at + 1, min(most, at + more))


def worth_changing(plan: Plan, at: int, fit: int, warm_up: float) -> bool:
    """Whether another number of steps fits so clearly that the plan should follow: past the warm-up, by a tenth of the rest."""
    end = plan[-1][1]
    return at > math.ceil(warm_up * plan[0][1]) and end - at > 20 and abs(fit - end) > 0.1 * (end - at)
