from __future__ import annotations

import math

import numpy as np
import pytest
from arm import MAPPING, columns, recorded, write_csv
from hypothesis import given, settings
from hypothesis import strategies as st

from sim2real_cat.errors import WorldError
from sim2real_cat.recordings.logs.mapping import (
    TIME_UNITS,
    UNITS,
    Channel,
    LogMapping,
    ticks_per_second,
    unit_factor,
    unknown_unit,
)
from sim2real_cat.recordings.logs.reader import read_log

UNIT_OF = {"angle": ("rad", "deg", "mrad", "turn"), "reach": ("m", "cm", "mm"), "spin": ("rad/s", "deg/s", "rpm")}
UNIT_OF |= {
    "speed": ("m/s", "cm/s", "mm/s"),
    "encoder": ("rad", "deg"),
    "torque": ("N m", "mN m"),
    "force": ("N", "mN"),
}


@st.composite
def dialects(draw):
    """How somebody writes each column: unit, sign, zero and gear ratio; and the unit of time."""
    columns = {
        name: {
            "unit": draw(st.sampled_from(units)),
            "sign": draw(st.sampled_from([1, -1])),
            "zero": draw(st.floats(-300, 300)),
            "scale": draw(st.floats(0.01, 100)),
        }
        for name, units in UNIT_OF.items()
    }
    return columns, draw(st.sampled_from(list(TIME_UNITS))), draw(st.floats(-1e4, 1e4))


@given(dialects())
@settings(max_examples=40, deadline=None)
def test_a_log_in_other_units_is_the_same_log(tmp_path_factory, world_and_done, dialect):
    """Written in any units, with signs, offsets, gear ratios and another origin of time, and read by its mapping."""
    world, done = world_and_done
    channels, time_unit, origin = dialect
    table = columns(done, 0)
    for name, channel in channels.items():
        per_unit = UNITS[channel["unit"]][1] * channel["sign"] * channel["scale"]
        table[name] = table[name] / per_unit + channel["zero"]
    table["t"] = (table["t"] + origin) * TIME_UNITS[time_unit]
    mapping = {"time": {"column": "t", "unit": time_unit}, "control_period": 0.02}
    for part in ("state", "observation", "action"):
        mapping[part] = {key: {"column": name} | channels[name] for key, name in MAPPING[part].items()}
    path = write_csv(tmp_path_factory.mktemp("logs") / "log.csv", table)
    log = read_log(path, LogMapping.from_table(mapping, world))
    for name in ("qpos", "qvel", "actions", "observations"):
        expected = getattr(done, name)[:1]
        # an offset of 300 of a unit costs the digits that it has more than the value
        np.testing.assert_allclose(getattr(log, name), expected, rtol=0, atol=1e-9, err_msg=name)
    assert log.control_period == 0.02
    assert not any("resampled" in note for note in log.notes)


@pytest.fixture(scope="module")
def world_and_done(tmp_path_factory):
    from arm import arm_world

    world = arm_world(tmp_path_factory.mktemp("arm"))
    return world, recorded(world, episodes=1)


def test_units_by_their_definition():
    assert unit_factor("deg", "angle", "") == math.radians(1)
    assert unit_factor("rpm", "angular velocity", "") == pytest.approx(0.10471975511965977, rel=1e-15)
    assert unit_factor("turn", None, "") == 2 * math.pi
    assert unit_factor("1", "angle", "") == 1
    assert [ticks_per_second(unit, "") for unit in ("s", "ms", "us", "ns")] == [1, 10**3, 10**6, 10**9]


@pytest.mark.parametrize(
    ("unit", "expected", "message"),
    [
        ("degr", "angle", "[state] 'x': unknown unit 'degr': did you mean 'deg'"),
        ("deg", "angular velocity", "[state] 'x' measures angular velocity, 'deg' angle; write one of rad/s"),
        ("mm", "angle", "'mm' length; write one of rad, mrad, deg, turn"),
    ],
)
def test_a_unit_that_does_not_fit(unit, expected, message):
    with pytest.raises(WorldError) as caught:
        unit_factor(unit, expected, "[state] 'x'")
    assert message in str(caught.value)


def test_an_unknown_unit_of_time():
    with pytest.raises(WorldError, match=r"\[time\]: unknown unit of time 'msec': did you mean 'ms'"):
        ticks_per_second("msec", "[time]")


@pytest.mark.parametrize(
    ("unit", "meant"),
    [
        ("degrees", "deg"),
        ("Degrees/s", "deg/s"),
        ("deg per second", "deg/s"),
        ("radians", "rad"),
        ("revs", "turn"),
        ("metres", "m"),
        ("meters / sec", "m/s"),
        ("Nm", "N m"),
    ],
)
def test_a_unit_in_words(unit, meant):
    with pytest.raises(WorldError, match=f"column 'angle': unknown unit '{unit}': did you mean '{meant}'"):
        Channel("angle", unit=unit)


def test_a_unit_of_time_is_not_taken_for_another():
    with pytest.raises(WorldError, match=r"column 'angle': 'ms' is a unit of time, which goes under \[time\]. Valid"):
        Channel("angle", unit="ms")


def test_only_units_of_what_is_measured_are_suggested():
    assert unknown_unit("m/ss", "velocity") == "unknown unit 'm/ss': did you mean 'm/s'? Valid: m/s, cm/s, mm/s"
    assert "did you mean 'm/s^2'? Valid: m/s^2, g" in unknown_unit("m/ss", "acceleration")
