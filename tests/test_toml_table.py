from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from sim2real_cat.errors import StudyError, WorldError
from sim2real_cat.toml_table import TomlTable


@dataclass(frozen=True)
class Motor:
    """One field of every type that a table fills in."""

    name: str
    gear: float
    poles: int = 4
    brake: bool = False
    note: str | None = None
    limits: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.gear <= 0:
            raise WorldError(f"gear needs to be > 0, got {self.gear:g}")


def table(**values):
    return TomlTable(values, "motors.toml [arm]", StudyError)


def test_a_dataclass_is_filled():
    found = table(name="shoulder", gear=2, brake=True).fill(Motor, limits={"speed": 3.0})
    assert found == Motor("shoulder", 2.0, brake=True, limits={"speed": 3.0})
    assert isinstance(found.gear, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gear": 1}, "name is missing"),
        ({"name": 3, "gear": 1}, "name needs to be a text, got 3"),
        ({"name": "a", "gear": True}, "gear needs to be a number, got True"),
        ({"name": "a", "gear": float("inf")}, "gear needs to be a finite number, got inf"),
        ({"name": "a", "gear": 10**400}, "gear needs to be a number, got 1000"),
        ({"name": "a", "gear": 1, "poles": 2.0}, "poles needs to be a whole number, got 2.0"),
        ({"name": "a", "gear": 1, "brake": 1}, "brake needs to be true or false, got 1"),
        ({"name": "a", "gear": 1, "note": 1}, "note needs to be a text, got 1"),
        (
            {"name": "a", "gaer": 1, "gear": 1},
            "unknown key 'gaer': did you mean 'gear'? Valid: brake, gear, name",
        ),
        ({"name": "a", "gear": 1, "limits": {}}, "unknown key 'limits'"),
        ({"name": "a", "gear": -1}, "gear needs to be > 0, got -1"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(values, message, refused):
    with refused(StudyError, "motors.toml [arm]: " + message):
        table(**values).fill(Motor, limits={})


def test_every_entry_says_where_it_stands():
    assert table(joint={}).table("joint").place == "motors.toml [arm.joint]"
    assert TomlTable({"arm": {}}, "motors.toml", StudyError).table("arm").place == "motors.toml [arm]"
    assert table().beside("qpos[hinge]") == "motors.toml [arm] 'qpos[hinge]'"
    assert TomlTable({}, "motors", StudyError).beside("qpos[hinge]") == "motors, 'qpos[hinge]'"


def test_exactly_one_of_some_keys():
    assert table(scale=1).only(["scale", "shift"]) == "scale"
    for values in ({}, {"scale": 1, "shift": 1}):
        with pytest.raises(StudyError, match=r"needs exactly one of scale, shift, got \{"):
            table(**values).only(["scale", "shift"])


def test_numbers_in_rows_and_pairs():
    found = table(pair=[0, 1.5], numbers=[], rows=[[1], []])
    assert (found.pair("pair"), found.numbers("numbers"), found.rows("rows")) == ((0.0, 1.5), [], ((1.0,), ()))
    for read, value in ((TomlTable.pair, [1]), (TomlTable.numbers, [float("nan")]), (TomlTable.rows, [1])):
        with pytest.raises(StudyError, match=r"value needs to be .* finite numbers"):
            read(table(value=value), "value")
