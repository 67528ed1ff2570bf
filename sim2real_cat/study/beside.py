"""What a study's description says of the instance that lies beside it; it is read, not checked against any world."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sim2real_cat.errors import ExchangeError
from sim2real_cat.transfer.laws import DEFAULT_EPSILON

if TYPE_CHECKING:
    from sim2real_cat.transfer.laws import Recompute


def epsilon_beside(instance: Path) -> float:
    """The epsilon of the study that an instance lies in, the default where there is none.

    Raises:
        ExchangeError: the description beside it is damaged.
    """
    epsilon = _head_beside(instance).get("epsilon", DEFAULT_EPSILON)
    if isinstance(epsilon, bool) or not isinstance(epsilon, int | float):
        raise ExchangeError(f"{instance.parent / 'study.toml'}: epsilon is {epsilon!r}, no number; give --epsilon")
    return float(epsilon)


def recompute_beside(instance: Path) -> Recompute | None:
    """What measures the gaps of the study that an instance lies in again, None where there is none."""
    if not (instance.parent / "study.toml").is_file():
        return None
    from sim2real_cat.study.recompute import recompute_gaps

    return recompute_gaps(instance.parent)


def name_of(folder: Path) -> object:
    """The name of the study in a folder, the folder's where it does not say.

    Raises:
        ExchangeError: its description is damaged.
    """
    return _head_beside(folder / "instance.json").get("name", folder.resolve().name)


def _head_beside(instance: Path) -> Mapping[str, object]:
    """The table [study] of the study that an instance lies in, empty where there is none."""
    beside = instance.parent / "study.toml"
    if not beside.is_file():
        return {}
    try:
        head = tomllib.loads(beside.read_text(encoding="utf-8"))["study"]
    except (ValueError, KeyError) as error:
        raise ExchangeError(f"{beside}: not the description of a study ({error}); write it again") from None
    if not isinstance(head, Mapping):
        raise ExchangeError(f"{beside}: study needs to be a table, got {head!r}")
    return head
