from __future__ import annotations

import pytest
from arm import MAPPING

from sim2real_cat.errors import WorldError
from sim2real_cat.recordings.logs.mapping import Channel, LogMapping, Time

TOML = """
control_period = 0.02
policies = { "ddp*" = "DDP", "*" = "other" }
missing = "drop"

[time]
column = "stamp"
unit = "ms"
longest_gap = 1

[state]
"qpos[hinge]" = { column = "angle", unit = "deg", sign = -1, zero = 12.5 }
"qpos[slide]" = "reach"
"qvel[hinge]" = { column = "speed", scale = 0.5, time = "other", delay = 0.01, unwrap = true }
"qvel[slide]" = "speed[1]"

[observation]
"sensordata[encoder]" = ["a", "b"]

[action]
shoulder = "torque"
"""


def test_a_toml_file_is_a_mapping(tmp_path, world):
    path = tmp_path / "log.toml"
    path.write_text(TOML)
    assert LogMapping.from_toml(path, world) == LogMapping(
        control_period=0.02,
        policies={"ddp*": "DDP", "*": "other"},
        missing="drop",
        time=Time(column="stamp", unit="ms", longest_gap=1),
        state={
            "qpos[hinge]": Channel("angle", unit="deg", sign=-1, zero=12.5),
            "qpos[slide]": Channel("reach"),
            "qvel[hinge]": Channel("speed", scale=0.5, time="other", delay=0.01, unwrap=True),
            "qvel[slide]": Channel("speed[1]"),
        },
        observation={"sensordata[encoder]": Channel(("a", "b"))},
        action={"shoulder": Channel("torque")},
        world=world,
    )


def channel(**entries):
    return {"state": {"qpos[hinge]": {"column": "angle"} | entries}}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "mapping: a mapping needs columns under [state] or [observation], it has none"),
        ({"state": {"qpos[hinge]": "angle"}, "world": "arm"}, "mapping: unknown key 'world'"),
        (
            {"stat": {}},
            "mapping: unknown key 'stat': did you mean 'state'? Valid: action, control_period",
        ),
        ({"state": 3}, "mapping [state]: needs to be a table, got 3"),
        ({"state": {"qpos[hinge]": 3}}, "mapping [state] 'qpos[hinge]': needs to be a table, got 3"),
        (channel(units="deg"), "[state] 'qpos[hinge]': unknown key 'units': did you mean 'unit'?"),
        (channel(column=""), "[state] 'qpos[hinge]': a channel needs the name of a column, got an empty one"),
        (channel(column=["a", 3]), "column needs to be a text or a list of texts, got ['a', 3]"),
        ({"state": {"qpos[hinge]": {"unit": "deg"}}}, "[state] 'qpos[hinge]': column is missing"),
        (channel(unit="degrees"), "column 'angle': unknown unit 'degrees': did you mean 'deg"),
        (channel(unit=3), "unit needs to be a text, got 3"),
        (channel(sign=2), "column 'angle': sign is 1 or -1, got 2"),
        (channel(sign=True), "sign needs to be a whole number, got True"),
        (channel(scale=-1.0), "scale needs to be > 0, got -1; a reversed axis is sign = -1"),
        (channel(scale="2"), "scale needs to be a number, got '2'"),
        (channel(zero=float("nan")), "zero needs to be a finite number, got nan"),
        (channel(unwrap=1), "unwrap needs to be true or false, got 1"),
        (MAPPING | {"time": {"unit": "sec"}}, "[time]: unknown unit of time 'sec'"),
        (
            MAPPING | {"time": {"column": "t", "period": 0.1}},
            "[time]: give column or period, not both: rows with timestamps",
        ),
        (MAPPING | {"time": {"period": 0}}, "[time]: period needs to be > 0 seconds, got 0"),
        (MAPPING | {"time": {"at_gaps": "skip"}}, "[time]: at_gaps is one of refuse, split, bridge, got 'skip'"),
        (MAPPING | {"time": {"duplicates": "drop"}}, "[time]: duplicates is one of refuse, first, last, got 'drop'"),
        (MAPPING | {"control_period": -1}, "control_period needs to be > 0 seconds, got -1"),
        (MAPPING | {"control_period": "20 ms"}, "control_period needs to be a number, got '20 ms'"),
        (MAPPING | {"resampling": "cubic"}, "resampling is one of linear, none, got 'cubic'"),
        (MAPPING | {"missing": "zero"}, "missing is one of refuse, drop, got 'zero'"),
        (MAPPING | {"delimiter": ", "}, "delimiter is one character, got ', '"),
        (MAPPING | {"policies": {"*": 3}}, "[policies] needs a name for every pattern of files, got {'*': 3}"),
        (MAPPING | {"policies": "a"}, "mapping [policies]: needs to be a table, got 'a'"),
        (MAPPING | {"policy": "a", "policy_column": "b"}, "all name the policy; keep one of them"),
    ],
)
def test_what_is_no_mapping_is_refused_in_one_line(world, table, message):
    with pytest.raises(WorldError) as caught:
        LogMapping.from_table(table, world)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_state_needs_a_world():
    with pytest.raises(WorldError, match=r"\[state\] needs the world whose joints these are; pass world="):
        LogMapping.from_table(MAPPING)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"state = ", "not valid TOML"),
        (b"\xff\xfe", "cannot be read as text"),
        (b"", "a mapping needs columns under"),
    ],
)
def test_a_file_that_is_no_mapping(tmp_path, content, message):
    path = tmp_path / "log.toml"
    path.write_bytes(content)
    with pytest.raises(WorldError, match=message) as caught:
        LogMapping.from_toml(path)
    assert str(caught.value).startswith(f"{path}: ")
    with pytest.raises(WorldError, match=r"none\.toml: no such mapping; give the path of a TOML file"):
        LogMapping.from_toml(tmp_path / "none.toml")
