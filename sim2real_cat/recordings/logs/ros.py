"""Bags of ROS 2 and MCAP files, read with rosbags (extra ``logs``): every topic is a stream with a clock of its own.

A column is a topic and a field, as ``/imu.angular_velocity.z`` or ``/joint_states.position[elbow]``: the arrays of a
``sensor_msgs/JointState`` go by the names of its joints, which may differ in order and number from message to message.
``/topic.header.stamp`` is when a message was measured and ``/topic.log_time`` when it was received, both in ns; the
first is its clock, the second where messages have no header.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sim2real_cat.errors import EngineError, ExchangeError, one_line, unknown_name
from sim2real_cat.recordings.logs.tables import Column, LogTable

_LOG_TIME, _STAMP = "log_time", "header.stamp"

_MAGIC = b"\x89MCAP0\r\n"
"""First and last bytes of an MCAP file (mcap.dev/spec)."""

_JOINT_ARRAYS = ("position", "velocity", "effort")


def read_bag(path: Path, columns: Sequence[str]) -> LogTable:
    """Read the topics that a mapping names.

    Args:
        path: an MCAP or SQLite file, or the folder of a bag.
        columns: the columns that the mapping names.

    Raises:
        EngineError: rosbags is not installed.
        ExchangeError: the file is cut short or no bag, or it has no such topic.
    """
    try:
        from rosbags.highlevel import AnyReader, AnyReaderError
        from rosbags.interfaces import Connection
    except ImportError:
        raise EngineError(f"{path}: bags need rosbags: pip install 'sim2real-cat[logs]'") from None
    from rosbags.rosbag2 import ReaderError

    if path.suffix.lower() == ".mcap":
        _refuse_cut_short(path)
    try:
        with AnyReader([path]) as reader:
            known = sorted(reader.topics)
            wanted = {_topic(path, text, known) for text in columns}
            chosen: list[Connection] = [one for one in reader.connections if one.topic in wanted]
            messages: dict[str, list[tuple[int, Any]]] = {topic: [] for topic in sorted(wanted)}
            for connection, received, raw in reader.messages(chosen):
                messages[connection.topic].append((received, reader.deserialize(raw, connection.msgtype)))
    except (AnyReaderError, ReaderError, OSError, ValueError, KeyError, IndexError) as error:
        reason = one_line(error)
        raise ExchangeError(f"{path}: not a whole bag ({reason}); record, index or copy it again") from None
    found: dict[str, Column] = {}
    components: dict[str, tuple[str, ...]] = {}
    clocks: dict[str, str] = {}
    for topic, entries in messages.items():
        own, names = _stream(entries)
        stamped = _STAMP in own and bool((own[_STAMP] != 0).all())
        for field, column in own.items():
            found[f"{topic}.{field}"] = column
            clocks[f"{topic}.{field}"] = f"{topic}.{_STAMP if stamped else _LOG_TIME}"
        components |= {f"{topic}.{field}": names[field] for field in names}
    return LogTable(str(path), found, components, label=lambda row: f"message {row}", clocks=clocks, time_unit="ns")


def _refuse_cut_short(path: Path) -> None:
    """Refuse an MCAP file that does not begin and end as the format asks for."""
    with path.open("rb") as file:
        first = file.read(len(_MAGIC))
        file.seek(-min(len(_MAGIC), path.stat().st_size), 2)
        last = file.read()
    if first != _MAGIC or last != _MAGIC:
        raise ExchangeError(
            f"{path}: not a whole MCAP file; record or copy it again, or recover it with 'mcap recover'"
        )


def _topic(path: Path, text: str, known: Sequence[str]) -> str:
    """Return the topic of a column: the longest one with which its name begins."""
    fitting = [topic for topic in known if text == topic or text.startswith(f"{topic}.")]
    if not fitting:
        raise ExchangeError(f"{path}: " + unknown_name("topic", text.split(".")[0], known))
    return max(fitting, key=len)


def _stream(messages: Sequence[tuple[int, Any]]) -> tuple[dict[str, Column], dict[str, tuple[str, ...]]]:
    """Return the fields of a topic's messages as columns, and the names of their components."""
    columns: dict[str, Column] = {_LOG_TIME: np.array([received for received, _ in messages], dtype=np.int64)}
    names: dict[str, tuple[str, ...]] = {}
    if not messages:
        return columns, names
    rows = [_fields(message) for _, message in messages]
    if all("name" in row and isinstance(row["name"], list) for row in rows):
        joints = tuple(dict.fromkeys(joint for row in rows for joint in row["name"]))
        for field in _JOINT_ARRAYS:
            columns[field] = _by_joint(rows, field, joints)
            names[field] = joints
    for field, first in rows[0].items():
        if field in columns or not isinstance(first, int | float | np.ndarray):
            continue
        values = [np.asarray(row.get(field)) for row in rows]
        if all(value.dtype.kind in "fiub" and value.shape == values[0].shape for value in values):
            column = np.stack(values)
            columns[field] = column.reshape(len(column), -1) if column.ndim > 1 else column
    return columns, names


def _by_joint(rows: Sequence[Mapping[str, Any]], field: str, joints: Sequence[str]) -> Column:
    """Return an array of joint states with a column for every joint, NaN where a message does not tell of it."""
    place = {joint: i for i, joint in enumerate(joints)}
    column = np.full((len(rows), len(joints)), np.nan)
    for row, entry in enumerate(rows):
        values = entry[field]
        if len(values) == len(entry["name"]):
            column[row, [place[joint] for joint in entry["name"]]] = values
    return column


def _fields(message: Any, prefix: str = "") -> dict[str, Any]:
    """Return the fields of a message by their path; stamps in ns."""
    found: dict[str, Any] = {}
    for field in message.__dataclass_fields__:
        value = getattr(message, field)
        if field.startswith("__"):
            continue
        inner = getattr(value, "__dataclass_fields__", None)
        if inner is None:
            found[prefix + field] = value
        elif {"sec", "nanosec"} <= set(inner):
            found[prefix + field] = int(value.sec) * 1_000_000_000 + int(value.nanosec)
        else:
            found |= _fields(value, f"{prefix}{field}.")
    return found
