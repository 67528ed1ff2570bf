"""The description of a study that lies beside an instance; it is read without checking it against any world."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sim2real_cat.errors import ExchangeError
from sim2real_cat.toml_table import TomlTable
from sim2real_cat.transfer.laws.law import DEFAULT_EPSILON

if TYPE_CHECKING:
    from sim2real_cat.transfer.laws.measured_laws import Recompute


def epsilon_beside(instance: Path) -> float:
    """Return the epsilon of the study that an instance lies in, the default where there is none.

    Raises:
        ExchangeError: the description beside it is damaged.
    """
    head = _head(instance.parent)
    if head is None or not head.has("epsilon"):
        return DEFAULT_EPSILON
    return head.number("epsilon")


def recompute_beside(instance: Path) -> Recompute | None:
    """Return the function that measures the gaps of the study beside again, None where there is no study."""
    if not (instance.parent / "study.toml").is_file():
        return None
    from sim2real_cat.study.folder import recompute_gaps

    return recompute_gaps(instance.parent)


def name_of(folder: Path) -> str:
    """Return the name of the study in a folder, the folder's where it does not say.

    Raises:
        ExchangeError: its description is damaged.
    """
    head = _head(folder)
    return folder.resolve().name if head is None else head.text("name", folder.resolve().name)


def _head(folder: Path) -> TomlTable | None:
    """Return the table [study] of the study in a folder, None where there is none."""
    path = folder / "study.toml"
    if not path.is_file():
        return None
    root = TomlTable.read(path, "study", ExchangeError)
    if not root.has("study"):
        raise root.refusal("the table [study] is missing; write the description again")
    return root.table("study")
