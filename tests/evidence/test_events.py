"""Narya events: one by one, as columns and as a file."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from sim2real_cat.errors import EvidenceError
from sim2real_cat.evidence.events import EventLog, Sim2RealNaryaEvent, TransferDelta, write_events

COLUMNS = [
    "policy",
    "episode",
    "step",
    "before",
    "after",
    "kl_gap",
    "observation_error",
    "dynamics_error",
    "latency_delta",
    "trit",
]


def test_a_log_yields_its_rows_as_events(make_log):
    log = make_log((0.05, 0.3, 0.7, 0.2), after=np.arange(8.0).reshape(4, 2))
    assert len(log) == 4
    assert list(log)[2] == Sim2RealNaryaEvent(
        event_id="transfer_p_0_2",
        before=(0.0, 0.0),
        after=(4.0, 5.0),
        delta=TransferDelta(kl_gap=0.7, observation_error=0.1, dynamics_error=0.2, latency_delta=10.0),
        trit=-1,
    )
    assert [event.trit for event in log] == log.trit.tolist() == [1, 0, -1, 0]


def test_events_are_plain_values(make_log):
    for event in make_log():
        plain = event.to_dict()
        assert json.loads(json.dumps(plain)) == plain | {"before": list(event.before), "after": list(event.after)}


def test_ids_tell_policy_episode_and_step(make_log):
    logs = [make_log(np.zeros(12), policy=policy) for policy in ("p", "p_1", "p_1_1")]
    ids = [event.event_id for log in logs for event in log]
    assert len(set(ids)) == 36
    assert ids[4] == "transfer_p_1_1"
    assert ids[16] == "transfer_p_1_1_1"


@pytest.mark.parametrize(("gap", "impact"), [(-1.0, 0), (0.5, 0), (np.nextafter(0.5, 1), 1), (7.0, 1)])
def test_impact_is_a_failure_of_transfer(make_log, gap, impact):
    (event,) = make_log([gap])
    assert event.impact == impact


@pytest.mark.parametrize(
    "columns",
    [
        {"step": np.zeros(3, dtype=np.int64)},
        {"episode": np.zeros(5, dtype=np.int64)},
        {"after": np.zeros((4, 3))},
        {"latency_delta": np.zeros(0)},
    ],
)
def test_columns_of_different_length_are_refused(make_log, refused, columns):
    with refused(EvidenceError, "event log of 'p': its columns differ in length"):
        make_log(**columns)


def test_events_of_several_robots_lie_in_one_file(make_log, tmp_path):
    logs = [make_log(policy="walker"), make_log((0.3,), policy="cart", d=5)]
    path = tmp_path / "events.parquet"
    write_events(path, logs)
    table = pq.read_table(path)
    assert table.column_names == COLUMNS
    assert table["policy"].to_pylist() == ["walker"] * 4 + ["cart"]
    assert table["trit"].to_pylist() == [1, 1, -1, -1, 0]
    assert table["kl_gap"].to_pylist() == [0.01, 0.02, 0.7, 0.9, 0.3]
    assert [len(row) for row in table["before"].to_pylist()] == [2, 2, 2, 2, 5]
    assert table["after"].to_pylist()[-1] == [0.25] * 5
    assert (table["episode"].to_pylist(), table["step"].to_pylist()) == ([0, 0, 0, 1, 0], [0, 1, 2, 0, 0])
    assert [entry.name for entry in tmp_path.iterdir()] == ["events.parquet"]


@pytest.mark.parametrize("logs", [0, 1])
def test_a_study_without_events_has_a_file_without_rows(make_log, tmp_path, logs):
    write_events(tmp_path / "events.parquet", [make_log(())] * logs)
    table = pq.read_table(tmp_path / "events.parquet")
    assert (table.num_rows, table.column_names) == (0, COLUMNS)


def test_the_same_events_give_the_same_bytes(make_log, tmp_path):
    for name in "ab":
        write_events(tmp_path / name, [make_log()])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_event_log_has_nothing_else():
    assert list(EventLog.__dataclass_fields__) == COLUMNS[:-1]
