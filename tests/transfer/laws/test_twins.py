"""Laws in Julia follow Python's: each has a twin there, or says why it has none."""

from __future__ import annotations

import re

import pytest
from julia_package import FOLDER, definitions

from sim2real_cat.transfer.laws import ALL
from sim2real_cat.transfer.laws.law import OWN_LAW
from sim2real_cat.transfer.laws.table_laws import TRANSFER_EQUALIZER

TEXT = (FOLDER / "laws.jl").read_text(encoding="utf-8")
STATED = (*ALL, TRANSFER_EQUALIZER)
"""Every law that the package states."""


def twins() -> dict[str, str]:
    """The names in `LAWS` of laws.jl, with their functions."""
    ((_, laws),) = definitions()["LAWS"]
    entries = re.findall(r'^ +"(.*?)" => (\w+),$', laws.text, re.MULTILINE)
    assert len(entries) == laws.text.count("=>")
    return dict(entries)


def description(function: str) -> str:
    """The docstring of a function of laws.jl, on one line."""
    found = re.search(rf'"""\n([^"]*)"""\nfunction {function}\(', TEXT)
    assert found is not None, f"{function} has no docstring"
    return " ".join(found[1].split())


@pytest.mark.parametrize("law", STATED, ids=lambda law: law.name)
def test_a_law_has_a_twin_or_says_why_not(law):
    if law.python_only:
        assert law.name not in twins(), f"{law.name} has a twin in laws.jl: say python_only=''"
        assert law.python_only != OWN_LAW, "a law of the package gives a reason of its own"
        assert re.fullmatch(r"[A-Z][^\n]*\.", law.python_only)
    else:
        assert law.name in twins(), f"write {law.name} in LAWS of laws.jl, or say in python_only why it is not there"


def test_julia_states_no_law_of_its_own():
    assert set(twins()) <= {law.name for law in ALL}
    assert set(twins().values()) == {name for name in definitions() if name.endswith("_witnesses")}


@pytest.mark.parametrize("law", [law for law in ALL if not law.python_only], ids=lambda law: law.name)
def test_a_twin_has_the_statement_of_python(law):
    said = description(twins()[law.name])
    assert said.startswith(f"{law.statement} {law.symbols}")


def test_a_twin_names_its_own_law():
    for name, function in twins().items():
        ((_, definition),) = definitions()[function]
        found = set(re.findall(r'Witness\((?:Symbol\("(.*?)"\)|:(\w+)),', definition.text))
        assert {one or other for one, other in found} == {name}
