"""Fine-tuning on a pinned table version: one function under torchrun, under Spark's TorchDistributor and alone."""

# torch and transformers are typed in parts only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import math
import os
import platform
import shutil
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lake.errors import LakeError, TrainingFailed
from lake.models import checkpoint as checkpoints
from lake.models import chip
from lake.models.base import base_folder, base_name, tokenizer_sha256
from lake.models.candidate import CARD, Candidate, Figures, Point, better, figures
from lake.models.feed import Batch, Census, Feed, FeedShort, filesystem_of, take_census
from lake.models.heads import Head, head
from lake.models.progress import Progress, say
from lake.models.ranks import Ranks, joined
from lake.models.schedule import learning_rate, steps_that_fit, worth_changing
from lake.models.score import TEXT, Scorer
from lake.models.spec import FineTune
from lake.table import Manifest

EVALUATION_BATCH = 4  # times the training batch: no gradients are held, and fewer, larger products are faster
MEASURED_STEPS, MEASURED_SECONDS = 10, 8.0  # enough for a first plan, which follows the clock later
LEAVING_SECONDS = 6.0  # writing the weights, ending the ranks
_LIBRARIES = ("torch", "transformers", "petastorm", "pyarrow", "numpy", "safetensors")


def fine_tune(spec: FineTune, manifest: Manifest, out_dir: Path, *, champion: Path | None = None, started: float | None = None) -> Candidate | None:
    """Train, keep the weights of the best epoch by validation accuracy, and judge them on the test split.

    Rank 0 writes `out_dir`/model (weights, tokenizer, card last) and returns the candidate; the other ranks return None.
    Checkpoints in `out_dir`/checkpoints are gone on from when they are of the same spec, data and number of processes.
    `started` (time.time()) is when the clock of the budget began.

    Raises:
        FeedShort: an epoch delivered another number of rows than the pinned version has.
        TrainingFailed: no rows to train on, or a loss that is no number.
        ContractBroken: the table's token ids come from another tokenizer than the base's.
    """
    begun = time.time()
    with joined() as ranks:
        torch.set_num_threads(chip.threads(ranks.local_world))
        work = _prepare(spec, manifest, out_dir, ranks, started or begun)
        plan = _plan(work, champion is not None)
        trained = _train(work, plan)
        if ranks.rank == 0:
            work.say(f"test: {work.census.rows('test')} rows; weights of epoch {trained.best_epoch}")
        test = _evaluate(work, work.model, work.labels, "test")
        rival = _judge_champion(work, champion) if champion and test else (None, None)
        if ranks.rank:
            return None
        return _write(work, plan, trained, test, rival, time.time() - begun)


# --- before the first step -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Work:
    """A training under way: what it was given, and the model as it is now."""

    spec: FineTune
    manifest: Manifest
    out_dir: Path
    ranks: Ranks
    started: float
    base: Path
    tokenizer: str
    head: Head
    labels: tuple[str, ...]
    slices: tuple[str, ...]
    census: Census
    feeds: dict[str, Feed]
    autocast: bool
    model: nn.Module
    judge_seconds: float = 0.0  # a row, over all ranks
    resumed: dict[str, Any] = field(default_factory=dict[str, Any])

    def say(self, line: str) -> None:
        """A line of the log, from rank 0."""
        if self.ranks.rank == 0:
            say(line)

    def fresh_model(self) -> nn.Module:
        """The base with its new head, the same on every rank and at every call."""
        torch.manual_seed(self.spec.seed)
        return self.head.model(self.base, self.labels, self.spec.dropout).to(self.ranks.device)

    @property
    def elapsed(self) -> float:
        """Seconds on the budget's clock."""
        return time.time() - self.started


def _prepare(spec: FineTune, manifest: Manifest, out_dir: Path, ranks: Ranks, started: float) -> _Work:
    base = base_folder(spec.base)
    tokenizer = tokenizer_sha256(base)
    filesystem = filesystem_of(manifest)
    slices = tuple(dict.fromkeys(spec.slices))
    made_by = (spec.tokenizer,) if spec.tokenizer in manifest.schema.names else ()
    census = take_census(
        manifest,
        split=spec.split,
        values=(spec.label, *slices, *made_by),
        required=(spec.input_ids, spec.tokens),
        filesystem=filesystem,
    )
    for other in set(census.of(spec.tokenizer)) - {tokenizer}:
        raise TrainingFailed(
            f"the token ids of {manifest.address} version {manifest.version} were made by tokenizer {other[:12]}, the base has {tokenizer[:12]}",
            next_step=f"lake rebuild {manifest.address}  (with the same LAKE_MODELS as the training)",
        )
    labels = census.of(spec.label)
    if not census.rows("train") or len(labels) < 2:
        raise TrainingFailed(
            f"{manifest.address} version {manifest.version} has {census.rows('train')} rows to train on and {len(labels)} labels",
            next_step=f"lake show {manifest.address}",
        )
    feeds = {
        part: Feed(
            manifest, (spec.label, *(slices if part != "train" else ())), rank=ranks.rank, world=ranks.world, seed=spec.seed,
            batch=spec.batch * (1 if part == "train" else EVALUATION_BATCH), split=(spec.split, part), ids=spec.input_ids, lengths=spec.tokens,
            max_length=spec.max_length, census=census, filesystem=filesystem,
        )
        for part in ("train", "validation", "test")
    }  # fmt: skip
    able = spec.precision == "bf16" or (spec.precision == "auto" and chip.has_bf16(ranks.device.type))
    autocast = bool(ranks.from_first(float(able))[0])  # one precision for all, whatever chips they have
    kind = head(spec.head)
    work = _Work(
        spec,
        manifest,
        out_dir,
        ranks,
        started,
        base,
        tokenizer,
        kind,
        labels,
        slices,
        census,
        feeds,
        autocast,
        nn.Identity(),
    )
    counts = ", ".join(f"{census.rows(part)} {part}" for part in feeds)
    work.say(f"{manifest.address} version {manifest.version}: {counts} rows, {len(labels)} labels")
    precision = "bf16" if autocast else "fp32"
    work.say(f"{base_name(base)} on {ranks.world} x {ranks.device.type} ({torch.get_num_threads()} threads), {precision}")
    return work


@dataclass(slots=True)
class _Plan:
    """How many steps, and the checkpoint to go on from."""

    parts: list[tuple[int, int]]  # see lake.models.schedule
    checkpoint: Path | None
    fingerprint: str
    most: int  # steps of all epochs
    moves: bool  # with the time that is left of a budget
    has_champion: bool

    @property
    def steps(self) -> int:
        """Steps in all."""
        return self.parts[-1][1]


def _plan(work: _Work, has_champion: bool) -> _Plan:
    """The number of steps: of all epochs, of a card, or as many as fit the budget; the plan of a checkpoint stands."""
    spec = work.spec
    data = work.manifest.address, work.manifest.version, work.manifest.rows
    same = json.dumps([spec.to_json(), *data, work.labels, work.tokenizer, work.ranks.world])
    epoch_steps = work.feeds["train"].steps
    most = spec.epochs * spec.stretch(epoch_steps) * epoch_steps
    moves = spec.budget_seconds is not None and not spec.plan
    plan = _Plan([(0, most)], None, hashlib.sha256(same.encode()).hexdigest(), most, moves, has_champion)
    found = checkpoints.newest(work.out_dir / "checkpoints", plan.fingerprint)
    if found is not None:
        plan.checkpoint, work.resumed = found
        plan.parts = [(begin, end) for begin, end in work.resumed["plan"]]
        work.started -= work.resumed["seconds"]  # the budget is spent once
        work.say(f"going on from {plan.checkpoint.name} of {plan.steps}")
    elif spec.plan:
        plan.parts = list(spec.plan)
    elif moves:
        seconds = _measured(work)
        plan.parts = [(0, _fitting(work, plan, 0, seconds))]
        epochs = plan.steps / work.feeds["train"].steps
        work.say(f"budget {spec.budget_seconds} s, {seconds:.3f} s a step: {plan.steps} steps ({epochs:.2f} epochs)")
    return plan


def _fitting(work: _Work, plan: _Plan, at: int, step_seconds: float) -> int:
    """Steps in all that fit into what is left of the budget, by rank 0's clock."""
    to_judge = work.census.rows("test") * (2 if plan.has_champion else 1)
    left = (work.spec.budget_seconds or 0.0) - work.elapsed - work.judge_seconds * to_judge - LEAVING_SECONDS
    epoch_end = work.judge_seconds * work.census.rows("validation") + 1  # 1 s: the weights are kept
    fit = steps_that_fit(left, step_seconds, work.feeds["train"].steps, epoch_end, at, plan.most)
    return int(work.ranks.from_first(fit)[0])


def _measured(work: _Work) -> float:
    """Seconds of a step, on a model that is thrown away: the training stays a function of its spec and plan."""
    model = work.model = work.fresh_model()
    wrapped, optimizer = _wrapped(work), _optimizer(model, work.spec)
    feed = work.feeds["train"]
    times: list[float] = []
    for batch in feed:
        before = time.perf_counter()
        _step(work, wrapped, optimizer, batch, 0, 1e-9)
        times.append(time.perf_counter() - before)
        over = len(times) >= MEASURED_STEPS or sum(times) > MEASURED_SECONDS
        if work.ranks.from_first(float(over))[0]:
            break
    judged, before = 0, time.perf_counter()
    some = work.feeds["validation"] if work.feeds["validation"].steps else work.feeds["test"]
    model.eval()
    with torch.inference_mode(), _precision(work):
        for batch in some:
            _logits(work, model, batch)
            judged += batch["global_rows"]
            if judged >= 4 * some.batch:
                break
    some.rewind()
    feed.rewind()
    work.judge_seconds = (time.perf_counter() - before) / max(1, judged)
    return float(np.median(times[2:] or times))  # the first two allocate; one that waited for another process is not the machine's speed


# --- training --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Trained:
    """How far a training came."""

    step: int = 0
    epoch: int = 0  # whole epochs behind it
    best: Figures | None = None
    best_epoch: int = 0
    worse: int = 0  # epochs since the best one
    curves: list[Point] = field(default_factory=list[Point])
    stopped: str = "finished"
    rows: int = 0  # trained on in this process's lifetime, over all ranks
    seconds: float = 0.0  # of training alone
    step_seconds: float = 0.0  # as it is lately


def _train(work: _Work, plan: _Plan) -> _Trained:
    """All steps of the plan, or fewer; work.model has the best epoch's weights afterwards."""
    spec, feed = work.spec, work.feeds["train"]
    work.model = work.fresh_model()
    optimizer = _optimizer(work.model, spec)
    done = _Trained()
    best_weights = work.out_dir / "best.safetensors"
    if plan.checkpoint is not None:
        checkpoints.load(plan.checkpoint, work.model, optimizer)
        done = _resumed(work.resumed)
        feed.load_state_dict(work.resumed["feed"])
    wrapped = _wrapped(work)
    with Progress(work.ranks.rank == 0, plan.steps, done.step) as progress:
        while done.step < plan.steps and done.stopped == "finished":
            _epoch(work, plan, done, wrapped, optimizer, progress)
            judged = _evaluate(work, work.model, work.labels, "validation")
            done.epoch = feed.epoch
            _judge_epoch(work, done, judged, best_weights, progress)
            if done.step < plan.steps and done.stopped == "finished":
                _save(work, plan, done, optimizer)
    if best_weights.is_file() and done.worse:
        work.model.load_state_dict(checkpoints.load_file(best_weights))
    return done


def _epoch(work: _Work, plan: _Plan, done: _Trained, wrapped: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """The steps to the end of the epoch, of the plan or of the time."""
    spec, ranks, feed = work.spec, work.ranks, work.feeds["train"]
    every = max(10, plan.most // 1000)  # steps between points of the curve
    lost, seen, since = 0.0, 0, time.time()
    begun, lap, epoch, before, whole = since, since, feed.epoch, feed.step, True
    with contextlib.closing(feed.batches()) as batches:  # the reader behind stops with it, not when it is collected
        for batch in batches:
            lost += _step(work, wrapped, optimizer, batch, done.step, learning_rate(spec, done.step, plan.parts))
            seen += batch["global_rows"]
            done.step += 1
            progress.at(done.step, epoch, lost * ranks.world / seen)
            if done.step % every == 0 or done.step == plan.steps:
                loss = ranks.total(lost)[0] / seen
                if not math.isfinite(loss):
                    raise TrainingFailed(
                        f"the loss is {loss} at step {done.step}",
                        next_step="lower learning_rate in the job's SPEC, or look at the rows",
                    )
                done.curves.append(_point(done.step, epoch, "train", "loss", loss))
                done.rows += seen
                if plan.moves and done.step < plan.steps:
                    _follow(work, plan, done, (time.time() - lap) / every, progress)
                lost, seen, lap = 0.0, 0, time.time()
            if done.step >= plan.steps and feed.step < feed.steps:
                whole = False
                break
            if spec.checkpoint_steps and done.step % spec.checkpoint_steps == 0 and feed.step < feed.steps:
                _save(work, plan, done, optimizer)
    done.rows += seen
    done.seconds += time.time() - begun
    if whole:
        delivered = ranks.total(feed.delivered)[0]
        planned = feed.rows - sum(feed.dealt(rank, before) for rank in range(ranks.world))
        if delivered != planned:
            raise FeedShort(f"epoch {epoch}: {delivered:.0f} rows delivered over all ranks of {planned}")


def _follow(work: _Work, plan: _Plan, done: _Trained, step_seconds: float, progress: Progress) -> None:
    """Let the plan follow the time that steps really take; each change is recorded, so that it can be made again."""
    # Half by this stretch, half by all before: one slow stretch is not a slow machine
    done.step_seconds = (done.step_seconds + step_seconds) / 2 if done.step_seconds else step_seconds
    fit = _fitting(work, plan, done.step, done.step_seconds)
    if worth_changing(plan.parts, done.step, fit, work.spec.warm_up):
        plan.parts.append((done.step, fit))
        progress.steps_are(fit)
        progress.line(f"{done.step_seconds:.3f} s a step now: {fit} steps in all")


def _step(work: _Work, wrapped: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, step: int, rate: float) -> float:
    """One optimiser step; the sum of this rank's losses."""
    spec, ranks = work.spec, work.ranks
    # Dropout is a function of (seed, step, rank): a training that goes on from any step draws as it would have
    torch.manual_seed(int(np.random.SeedSequence([spec.seed, step, ranks.rank]).generate_state(1)[0]))
    wrapped.train()
    wanted = work.head.targets(batch, spec.label, work.labels).to(ranks.device)
    with _precision(work):
        logits = _logits(work, wrapped, batch)
    lost = work.head.loss(logits, wanted, batch["weight"].to(ranks.device))
    # DDP takes the mean over ranks: times world it is the sum, and divided by the rows of all ranks the mean over rows
    (lost * (ranks.world / batch["global_rows"])).backward()
    if spec.clip:
        nn.utils.clip_grad_norm_(wrapped.parameters(), spec.clip)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(lost.detach())


def _optimizer(model: nn.Module, spec: FineTune) -> torch.optim.Optimizer:
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": spec.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=spec.learning_rate, fused=True)  # one pass over 22 M weights instead of a dozen


def _wrapped(work: _Work) -> nn.Module:
    if work.ranks.world == 1:
        return work.model
    return DistributedDataParallel(
        work.model,
        device_ids=[work.ranks.device] if work.ranks.device.type == "cuda" else None,
        gradient_as_bucket_view=True,
    )


def _logits(work: _Work, model: nn.Module, batch: Batch) -> Tensor:
    device = work.ranks.device
    return work.head.forward(model, batch[work.spec.input_ids].to(device), batch["attention_mask"].to(device))


def _precision(work: _Work) -> Any:
    return torch.autocast(work.ranks.device.type, dtype=torch.bfloat16, enabled=work.autocast)


def _judge_epoch(work: _Work, done: _Trained, judged: Figures | None, best_weights: Path, progress: Progress) -> None:
    """Keep the best epoch's weights; stop when it has been long ago. Every rank judges alike: the figures are of all rows."""
    if judged is None:
        return
    epoch = math.ceil(done.step / work.feeds["train"].steps)
    for metric in ("accuracy", "macro_f1", "loss"):
        done.curves.append(_point(done.step, epoch - 1, "validation", metric, getattr(judged, metric)))
    progress.line(f"epoch {epoch}: validation accuracy {judged.accuracy:.4f}, macro-F1 {judged.macro_f1:.4f}, loss {judged.loss:.4f}")
    if better(judged, done.best):
        done.best, done.best_epoch, done.worse = judged, epoch, 0
        if work.ranks.rank == 0:
            aside = best_weights.with_suffix(".part")
            work.out_dir.mkdir(parents=True, exist_ok=True)
            checkpoints.save_file(checkpoints.weights(work.model), aside)
            aside.rename(best_weights)
    else:
        done.worse += 1
        if done.worse >= work.spec.patience * work.spec.stretch(work.feeds["train"].steps) and done.stopped == "finished":
            done.stopped = "early"
            progress.line(f"no better for {done.worse} epochs: stopping; the best was epoch {done.best_epoch}")
    work.ranks.wait()  # rank 0 has written before anybody reads


def _save(work: _Work, plan: _Plan, done: _Trained, optimizer: torch.optim.Optimizer) -> None:
    if work.ranks.rank == 0:
        kept = {
            "step": done.step,
            "epoch": done.epoch,
            "best_epoch": done.best_epoch,
            "worse": done.worse,
            "rows": done.rows,
            "seconds": done.seconds,
        }
        best = None if done.best is None else {name: getattr(done.best, name) for name in Figures.__slots__}
        curves = [{name: getattr(p, name) for name in Point.__slots__} for p in done.curves]
        state = {
            **kept,
            "best": best,
            "curves": curves,
            "fingerprint": plan.fingerprint,
            "plan": plan.parts,
            "feed": work.feeds["train"].state_dict(),
        }
        checkpoints.save(work.out_dir / "checkpoints", work.model, optimizer, state)


def _resumed(state: Mapping[str, Any]) -> _Trained:
    best = Figures.of(state["best"]) if state["best"] else None
    kept = {name: state[name] for name in ("step", "epoch", "best_epoch", "worse", "rows", "seconds")}
    return _Trained(**kept, best=best, curves=[Point(**point) for point in state["curves"]])


# --- judging ---------------------------------------------------------------------------------------------------------


def _evaluate(work: _Work, model: nn.Module, labels: tuple[str, ...], part: str) -> Figures | None:
    """The figures of a model on a split, on every rank; None when the split has no rows."""
    spec, ranks = work.spec, work.ranks

    def ask(batch: Batch) -> tuple[NDArray[np.int64], float]:
        with torch.inference_mode(), _precision(work):
            logits = _logits(work, model, batch)
            lost = math.nan
            if labels == work.labels:
                wanted = work.head.targets(batch, spec.label, work.labels)
                lost = float(work.head.loss(logits, wanted.to(ranks.device), batch["weight"].to(ranks.device)))
            return work.head.predictions(logits).label, lost

    model.eval()
    begun = time.perf_counter()
    found = _judged(work, work.feeds[part], labels, ask)
    work.judge_seconds = (time.perf_counter() - begun) / max(1, work.feeds[part].rows)
    return found


def _judged(work: _Work, feed: Feed, labels: Sequence[str], ask: Callable[[Batch], tuple[NDArray[np.int64], float]]) -> Figures | None:
    """The figures over a feed of what `ask` says of its batches: numbers of `labels`, and the sum of this rank's losses."""
    ranks = work.ranks
    if not feed.steps:
        return None
    feed.rewind()
    codes = [{value: code for code, value in enumerate(work.census.of(column))} for column in work.slices]
    ours = {name: code for code, name in enumerate(work.labels)}
    as_ours = np.array([ours.get(name, -2) for name in labels])  # -1 marks padding among ranks
    kept: list[Tensor] = []
    lost = 0.0
    for batch in feed:
        said, loss = ask(batch)
        lost += loss
        wanted = work.head.targets(batch, work.spec.label, work.labels)
        of_slices = [torch.tensor([code.get(str(value), 0) for value in batch[column]]) for code, column in zip(codes, work.slices, strict=True)]
        kept.append(torch.stack([wanted, torch.from_numpy(as_ours[said]), *of_slices], dim=1)[batch["weight"] > 0])
    rows = ranks.gathered(torch.cat(kept), max(feed.dealt(rank, feed.steps) for rank in range(ranks.world))).numpy()
    if len(rows) != feed.rows:
        raise FeedShort(f"{feed.split[1]}: {len(rows)} rows judged of {feed.rows}")
    by_slice = {column: np.array(work.census.of(column))[rows[:, 2 + i]] for i, column in enumerate(work.slices)}
    return figures(rows[:, 0], np.maximum(rows[:, 1], -1), len(work.labels), ranks.total(lost)[0] / feed.rows, by_slice)


def _judge_champion(work: _Work, folder: Path) -> tuple[Figures | None, int | None]:
    """The champion's figures on the same test rows, and its version; none when its tokenizer is another and the table has no text."""
    card = json.loads((folder / CARD).read_text())
    if card["tokenizer_sha256"] == work.tokenizer:
        model = head(card["spec"]["head"]).load(folder).to(work.ranks.device)
        return _evaluate(work, model, tuple(card["labels"]), "test"), card.get("version")
    if TEXT not in work.manifest.schema.names:
        work.say(f"the champion has another tokenizer, and the table no column {TEXT}: it can't be asked on these token ids")
        return None, None
    work.say("the champion has another tokenizer: asking it by the test rows' text")
    return _judge_by_text(work, folder), card.get("version")


def _judge_by_text(work: _Work, folder: Path) -> Figures | None:
    """The figures of a model with a tokenizer of its own on the test rows."""
    spec, ranks = work.spec, work.ranks
    scorer = Scorer(folder, torch.get_num_threads(), ranks.device)
    number = {name: code for code, name in enumerate(scorer.labels)}
    feed = Feed(
        work.manifest, (spec.label, *work.slices, TEXT), rank=ranks.rank, world=ranks.world, seed=spec.seed, batch=spec.batch * EVALUATION_BATCH,
        split=(spec.split, "test"), ids=spec.input_ids, lengths=spec.tokens, max_length=spec.max_length, census=work.census,
        filesystem=work.feeds["test"].filesystem,
    )  # fmt: skip

    def ask(batch: Batch) -> tuple[NDArray[np.int64], float]:
        said, _ = scorer.say([str(text) for text in batch[TEXT]])
        return np.array([number[name] for name in said]), math.nan

    return _judged(work, feed, scorer.labels, ask)


# --- after the last step ---------------------------------------------------------------------------------------------


def _write(work: _Work, plan: _Plan, trained: _Trained, test: Figures | None, rival: tuple[Figures | None, int | None], seconds: float) -> Candidate:
    """The model's folder: weights, tokenizer, and the card last."""
    final, aside = work.out_dir / "model", work.out_dir / ".model"
    shutil.rmtree(aside, ignore_errors=True)
    shutil.rmtree(final, ignore_errors=True)
    aside.mkdir(parents=True)
    work.head.save(work.model, aside)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        if (work.base / name).is_file():  # the bytes themselves: a library that writes them again changes their hash
            shutil.copyfile(work.base / name, aside / name)
    if test is not None:
        for metric in ("accuracy", "macro_f1", "loss"):
            epoch = math.ceil(trained.step / work.feeds["train"].steps) - 1
            trained.curves.append(_point(trained.step, epoch, "test", metric, getattr(test, metric)))
    made = Candidate(
        folder=str(final), spec=work.spec, manifest=work.manifest, labels=work.labels, validation=trained.best, test=test,
        champion=rival[0], champion_version=rival[1],
        curves=tuple(trained.curves), steps=trained.step, plan=tuple(plan.parts), epochs=round(trained.step / work.feeds["train"].steps, 4),
        stopped=trained.stopped, precision="bf16" if work.autocast else "fp32", processes=work.ranks.world, seconds=round(seconds, 1),
        samples_per_second=round(trained.rows / trained.seconds, 1) if trained.seconds else 0.0, base=work.spec.base or base_name(work.base),
        base_sha256=_sha256(next(work.base.glob("*.safetensors"), None)), tokenizer_sha256=work.tokenizer,
        libraries={**{name: version_of(name) for name in _LIBRARIES}, "python": platform.python_version()},
    )  # fmt: skip
    (aside / CARD).write_text(made.to_json())
    aside.rename(final)
    shutil.rmtree(work.out_dir / "checkpoints", ignore_errors=True)
    (work.out_dir / "best.safetensors").unlink(missing_ok=True)
    if test is not None:
        work.say(f"test accuracy {test.accuracy:.4f}, macro-F1 {test.macro_f1:.4f} on {test.rows} rows")
    work.say(f"{made.steps} steps ({made.stopped}) in {seconds:.0f} s, {made.samples_per_second} rows/s")
    return made


def _sha256(path: Path | None) -> str:
    if path is None:
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _point(step: int, epoch: int, split: str, metric: str, value: float) -> Point:
    return Point(step, epoch, split, metric, round(value, 6), datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))


# --- a process of its own --------------------------------------------------------------------------------------------


def train_as_asked(request: str) -> None:
    """What every rank runs: the training that a request file (of lake.models.launch) describes.

    A failure is written beside the request before it is raised, so that whoever waits can name the rank that failed first.
    """
    place = Path(request)
    asked = json.loads(place.read_text())
    _leave_with(*asked["launcher"])
    try:
        fine_tune(
            FineTune.from_json(json.dumps(asked["spec"])),
            Manifest.from_json(json.dumps(asked["manifest"])),
            place.parent,
            champion=Path(asked["champion"]) if asked["champion"] else None,
            started=asked["started"],
        )
    except Exception as error:
        rank = os.environ.get("RANK", "0")
        what, step = (error.what, error.next_step) if isinstance(error, LakeError) else (f"{type(error).__name__}: {error}", "")
        told = {
            "at": time.time(),
            "rank": int(rank),
            "kind": type(error).__name__,
            "what": what,
            "next_step": step,
            "traceback": traceback.format_exc(),
        }
        aside = place.parent / f".failure-{rank}.json"
        aside.write_text(json.dumps(told))
        aside.rename(place.parent / f"failure-{rank}.json")
        raise


def _leave_with(host: str, pid: int) -> None:
    """End this process when the one that launched it is gone (kill -9): else it would train on, beside the next one."""
    if host != socket.gethostname():
        return  # an executor on another machine; Spark ends it

    def watch() -> None:
        while True:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                os._exit(1)
            except PermissionError:
                return
            time.sleep(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    train_as_asked(sys.argv[1])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # all is written: no thread of torch's or Arrow's may break down while Python takes itself apart
