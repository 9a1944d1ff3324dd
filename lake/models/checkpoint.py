"""Checkpoints: a training's whole state, written aside and renamed, as safetensors and JSON; nothing here can run code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

KEPT = 2  # the newest one, and the one before it should a disk have lost bytes of the newest


def save(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> Path:
    """A checkpoint at state['step']; whole when its folder has its name, and older ones than the newest few are gone."""
    final = folder / f"step-{state['step']:09d}"
    aside = folder / f".{final.name}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    save_file(weights(model), aside / "model.safetensors")
    save_file(
        {f"{i}.{name}": value for i, kept in optimizer.state_dict()["state"].items() for name, value in kept.items()},
        aside / "optimizer.safetensors",
    )
    (aside / "state.json").write_text(json.dumps(state))
    shutil.rmtree(final, ignore_errors=True)
    aside.rename(final)
    for old in sorted(folder.glob("step-*"))[:-KEPT]:
        shutil.rmtree(old)
    return final


def newest(folder: Path, fingerprint: str) -> tuple[Path, dict[str, Any]] | None:
    """The newest whole checkpoint of the same training, and its state; None when there is none."""
    for found in sorted(folder.glob("step-*"), reverse=True):
        try:
            state = json.loads((found / "state.json").read_text())
            for name in ("model", "optimizer"):
                with safe_open(found / f"{name}.safetensors", "pt"):  # its header says how long the file must be
                    pass
        except (OSError, ValueError, SafetensorError):  # a machine that lost power may have lost bytes of it
            continue
        if state["fingerprint"] == fingerprint:
            return found, state
    return None


def load(checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """The state of a checkpoint back into model and optimiser."""
    model.load_state_dict(load_file(checkpoint / "model.safetensors"))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in load_file(checkpoint / "optimizer.safetensors").items():
        index, _, what = name.partition(".")
        state.setdefault(int(index), {})[what] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """The model's tensors on the CPU, each with memory of its own: safetensors refuses two names for one."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in model.state_dict().items()}
