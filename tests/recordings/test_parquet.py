from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig import Constant, Scripted, equal, made, members, rig_world

from sim2real_cat.errors import ExchangeError, WorldError
from sim2real_cat.recordings.logs.mapping import LogMapping
from sim2real_cat.recordings.logs.reader import read_log
from sim2real_cat.recordings.parquet import iterate_log, write_log
from sim2real_cat.worlds.simulation.rollout import rollout

NUMBERS = st.floats(allow_nan=False, width=64)


@st.composite
def trajectories(draw):
    """Small recordings: any lengths, numbers and names, with and without states, ensembles, diverged episodes."""
    lengths = draw(st.lists(st.integers(0, 5), min_size=0, max_size=4))
    n = len(lengths)
    flags = st.lists(st.booleans(), min_size=n, max_size=n)
    some = made(
        lengths,
        d=draw(st.integers(1, 3)),
        nu=draw(st.integers(1, 3)),
        nq=draw(st.integers(0, 3)),
        nv=draw(st.integers(0, 3)),
        diverged=draw(flags),
        members=draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)),
        policies=draw(st.lists(st.text(max_size=5), min_size=n, max_size=n)),
        number=draw(NUMBERS),
    )
    terminated = np.array(draw(flags), dtype=bool) & (some.lengths > 0)
    period = draw(st.floats(1e-6, 1e6))
    notes = tuple(draw(st.lists(st.text(max_size=5), max_size=2)))
    reasons = tuple(draw(st.one_of(st.just([]), st.lists(st.text(max_size=5), min_size=n, max_size=n))))
    return replace(some, terminated=terminated, control_period=period, notes=notes, reasons=reasons)


@given(trajectories())
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read(tmp_path_factory, some):
    path = tmp_path_factory.mktemp("logs") / "log.parquet"
    digest = write_log(path, some)
    assert equal(read_log(path), some)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert write_log(path.with_name("again.parquet"), some) == digest


def test_a_rollout_with_short_and_diverged_episodes_of_an_ensemble(tmp_path):
    world = rig_world(tmp_path, noise=0.1, healthy={"qpos[rail]": (-1.0, 0.0012)})
    actions = np.zeros((4, 20, 2))
    actions[0, :, 0], actions[1, 4:, 0] = 1.0, 1e200
    heavier = members("body_mass[cart]", "scale", [1.0, 2.0])
    done = rollout(world, Scripted(actions), rng=0, fibre=heavier, episodes=2, name="π")
    assert done.lengths.tolist() == [7, 4, 20, 20]
    write_log(tmp_path / "log.parquet", done)
    assert equal(read_log(str(tmp_path / "log.parquet")), done)


@pytest.fixture
def log(rig, tmp_path):
    path = tmp_path / "log.parquet"
    write_log(path, rollout(rig, Constant(np.zeros(2)), rng=0, episodes=2, steps=4))
    return path


def test_columns_are_those_of_lerobot(log):
    schema = pq.read_schema(log)
    lists = {name: pa.list_(pa.float64(), size) for name, size in (("observation.state", 4), ("action", 2))}
    assert schema.names == [
        "episode_index",
        "frame_index",
        "timestamp",
        "member_index",
        "policy",
        "observation.state",
        "action",
        "next.reward",
        "next.done",
        "diverged",
        "reason",
        "physics.qpos",
        "physics.qvel",
    ]
    for name, kind in lists.items():
        assert pa.types.is_fixed_size_list(schema.field(name).type)
        assert schema.field(name).type.list_size == kind.list_size
    table = pq.read_table(log)
    assert table["episode_index"].to_pylist() == [0] * 5 + [1] * 5
    assert table["frame_index"].to_pylist() == [*range(5)] * 2
    np.testing.assert_allclose(table["timestamp"].to_numpy(), [0, 0.01, 0.02, 0.03, 0.04] * 2)
    assert table["action"].to_pylist()[4] is None
    assert table["next.reward"].to_pylist()[4] is None
    assert table["next.done"].to_pylist() == [False, False, False, False, None] * 2


def test_a_simulation_has_no_notes(log):
    assert "notes" not in json.loads(pq.read_schema(log).metadata[b"sim2real_cat"])
    assert read_log(log).notes == ()


def refused(path):
    """The message, which has to be one line that starts with the file."""
    with pytest.raises(ExchangeError) as caught:
        read_log(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message


def test_a_missing_log(tmp_path):
    assert refused(tmp_path / "none.parquet").endswith("no such log")
    assert refused(tmp_path / "none.csv").endswith("no such log")


@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_a_truncated_log(log, part):
    content = log.read_bytes()
    log.write_bytes(content[: int(len(content) * part)])
    assert "not a whole Parquet log" in refused(log)


def test_a_flipped_byte_never_becomes_other_numbers(log):
    """It is refused, or it lies where nothing is read from; the numbers are guarded by checksums."""
    whole, content = read_log(log), log.read_bytes()
    outcomes = {"refused": 0, "same": 0, "other": 0}
    footer = int.from_bytes(content[-8:-4], "little")
    for position in range(4, len(content) - 8 - footer, 7):
        log.write_bytes(content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :])
        try:
            outcomes["same" if equal(read_log(log), whole) else "other"] += 1
        except ExchangeError:
            outcomes["refused"] += 1
    assert outcomes["other"] == 0
    assert outcomes["refused"] > outcomes["same"]


def test_not_a_parquet_file(tmp_path):
    path = tmp_path / "log.parquet"
    path.write_text("a,b\n1,2\n")
    assert "not a whole Parquet log" in refused(path)


def test_somebody_elses_parquet_file(tmp_path):
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    assert "not a log written by sim2real_cat" in refused(path)


def rewritten(log, *, columns=None, **head):
    """The same log with other columns or entries of its head."""
    table = pq.read_table(log)
    entries = json.loads(table.schema.metadata[b"sim2real_cat"]) | head
    for name, values in (columns or {}).items():
        table = table.set_column(table.schema.get_field_index(name), name, values)
    pq.write_table(table.replace_schema_metadata({b"sim2real_cat": json.dumps(entries).encode()}), log)
    return refused(log)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"version": 3}, "format version 3, this package reads 1 and 2; update it"),
        ({"control_period": {}}, "not a whole Parquet log"),
        ({"sensors": ["x"]}, "not a whole Parquet log"),
        ({"actuators": []}, "not a whole Parquet log"),
    ],
)
def test_a_head_that_does_not_fit_the_columns(log, head, message):
    assert message in rewritten(log, **head)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("frame_index", pa.array([*range(5), *range(1, 6)])),
        ("frame_index", pa.array([*range(4, -1, -1), *range(5)])),
        ("episode_index", pa.array([0] * 5 + [2] * 5)),
        ("episode_index", pa.array([-1] * 10)),
        ("episode_index", pa.array([1] * 5 + [0] * 5)),
        ("policy", pa.array([1] * 10)),
        ("diverged", pa.array(["no"] * 10)),
        ("next.done", pa.array(["no"] * 10)),
        ("observation.state", pa.array(["no"] * 10)),
    ],
)
def test_columns_that_are_no_recording(log, name, values):
    assert "not a whole Parquet log" in rewritten(log, columns={name: values})


def test_a_log_of_another_tool_needs_a_mapping(tmp_path):
    remedy = "needs a mapping: world.read_log(path, 'mapping.toml')"
    for name, kind in [("log.csv", "a .csv log"), ("log", "a log that is not a Parquet file")]:
        (tmp_path / name).write_text("a,b\n1,2\n")
        assert refused(tmp_path / name) == f"{tmp_path / name}: {kind} {remedy}"
        with pytest.raises(ExchangeError, match="needs a mapping"):
            iterate_log(tmp_path / name)
    assert refused(tmp_path) == f"{tmp_path}: a folder {remedy}"


def test_a_log_of_ours_has_any_ending(log, tmp_path):
    log.rename(tmp_path / "log.bin")
    assert len(read_log(tmp_path / "log.bin")) == 2


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ("m.toml", "got a path; give LogMapping.from_toml('m.toml', world)"),
        (Path("m.toml"), "got a path; give LogMapping.from_toml('m.toml', world)"),
        ({"state": {}}, "got a table; give LogMapping.from_table(table, world)"),
        (3, "got 3; give LogMapping.from_toml(path, world)"),
    ],
)
def test_a_mapping_that_is_none(tmp_path, mapping, message):
    with pytest.raises(WorldError) as caught:
        read_log(tmp_path / "ok.csv", mapping)
    assert str(caught.value) == f"mapping is a LogMapping, {message}"


def test_no_path():
    mapping = LogMapping.from_table({"observation": {"angle": "angle"}})
    for how in (None, mapping):
        with pytest.raises(ExchangeError, match=r"^no log to read: the list of paths is empty; give one path or more$"):
            read_log([], how)


@pytest.mark.parametrize("column", ["frame_index", "episode_index", "action", "policy"])
def test_a_log_without_a_column_says_which(log, column):
    table = pq.read_table(log)
    pq.write_table(table.drop_columns([column]), log)
    assert f"not a log written by sim2real_cat, column '{column}' is missing; read the log of" in refused(log)


def test_a_parquet_file_of_another_tool(tmp_path):
    pq.write_table(pa.table({"angle": [1.0, 2.0]}), tmp_path / "log.parquet")
    message = refused(tmp_path / "log.parquet")
    assert "metadata 'sim2real_cat' is missing; read the log of another tool with a mapping, world.read_log(" in message
