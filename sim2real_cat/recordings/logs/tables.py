"""Tables of logs: CSV, Parquet, npz, LeRobot, Minari and ROS, each read into named columns of numbers or text."""

from __future__ import annotations

import json
import math
import re
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import csv

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import EngineError, ExchangeError, WorldError, one_line, unknown_name

Column = NDArray[Any]
"""A column of a table: (rows,) or (rows, k)."""

_ENDINGS = (".csv", ".tsv", ".txt", ".parquet", ".npz", ".hdf5", ".h5", ".mcap", ".db3")
"""Endings of files that are read; folders of LeRobot, Minari and ROS 2 are known by their files."""

_LEROBOT_INFO = Path("meta/info.json")
_LEROBOT_COLUMNS = ("episode_index", "frame_index", "timestamp")

_MINARI_FILE = "main_data.hdf5"
_MINARI_EPISODE = re.compile(r"episode_(\d+)")

_LOG_TIME, _STAMP = "log_time", "header.stamp"

_MCAP_MAGIC = b"\x89MCAP0\r\n"
"""First and last bytes of an MCAP file (mcap.dev/spec)."""

_JOINT_ARRAYS = ("position", "velocity", "effort")

_INDEXED = re.compile(r"^(?P<name>.*?)\s*\[(?:\s*:\s*,)?\s*(?P<element>[^\[\]]+?)\s*\]$")
"""A text that names components of a column: ``"name[2]"``, ``"name[:, 2]"``, ``"name[wrist]"``, ``"name[0:3]"``."""


def _row(row: int) -> str:
    return f"row {row}"


@dataclass(frozen=True, eq=False)
class LogTable:
    """Columns of one file of a log, or of one episode in it.

    Attributes:
        place: the file, for messages.
        columns: by name, (rows,) or (rows, k): numbers, dates or text. A column may have one row less than the
            others (actions of Minari): its last row is then not known.
        components: names of the k components of a column of vectors, where they have some.
        label: a function from the index of a row to its name in messages.
        time: the column of timestamps that the format itself has.
        clocks: that column for each other one, in formats in which every stream has its own.
        time_unit: the unit of `time`, where the format fixes it.
        period: seconds between two rows, where the format fixes them.
        episode_column: the column that tells episodes apart, where the format has one.
    """

    place: str
    columns: Mapping[str, Column]
    components: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    label: Callable[[int], str] = _row
    time: str | None = None
    clocks: Mapping[str, str] = field(default_factory=dict)
    time_unit: str | None = None
    period: float | None = None
    episode_column: str | None = None

    def find(self, text: str) -> tuple[str, slice | int | None]:
        """Return the column that a text names and the index of its components; None for all of them.

        Raises:
            WorldError: no such column or component; the message lists them.
        """
        if text in self.columns:
            return text, None
        match = _INDEXED.match(text)
        if match is None or match["name"] not in self.columns:
            name = text if match is None else match["name"]
            raise WorldError(f"{self.place}: " + unknown_name("column", name, self.columns))
        name, element = match["name"], match["element"]
        width = self.columns[name].shape[1] if self.columns[name].ndim == 2 else 0
        if not width:
            raise WorldError(f"{self.place}: column '{name}' has one number a row, '{text}' asks for a component")
        known = self.components.get(name, ())
        if element in known:
            return name, known.index(element)
        start, colon, stop = element.partition(":")
        if colon and all(part.strip() == "" or part.strip().isdigit() for part in (start, stop)):
            chosen = slice(int(start) if start.strip() else 0, int(stop) if stop.strip() else width)
            if chosen.start < chosen.stop <= width:
                return name, chosen
        elif element.isdigit() and int(element) < width:
            return name, int(element)
        if known and not element.replace(":", "").strip().isdigit():
            raise WorldError(f"{self.place}: " + unknown_name(f"component of column '{name}'", element, known))
        raise WorldError(f"{self.place}: column '{name}' has components 0..{width - 1}, '{text}' asks for another")

    def numbers(self, text: str) -> Floats:
        """Return a column, or some of its components, as (rows, k) floats.

        Raises:
            WorldError: no such column or component, or text where numbers are expected.
        """
        name, chosen = self.find(text)
        column = self.columns[name]
        if column.dtype.kind not in "fiub":
            if column.dtype.kind == "M":
                raise WorldError(f"{self.place}: column '{name}' holds dates, a channel needs numbers")
            raise ExchangeError(f"{self.place}, {self.first_text(column)}: column '{name}' needs numbers")
        part = column[:, None] if column.ndim == 1 else column if chosen is None else column[:, chosen]
        return np.asarray(part.reshape(len(column), -1), dtype=np.float64)

    def rows(self, index: Ints) -> LogTable:
        """Return the table with some of its rows, by index."""
        columns = {name: column[index[index < len(column)]] for name, column in self.columns.items()}
        return replace(self, columns=columns, label=lambda row: self.label(int(index[row])))

    def first_text(self, column: Column) -> str:
        """Return the place and the text of the first entry of a column that cannot be read as a number."""
        for row, value in enumerate(column if column.ndim == 1 else column[:, 0]):
            try:
                float(value)
            except (TypeError, ValueError):
                if value is not None:
                    return f"{self.label(row)}: {str(value)[:40]!r} is no number"
        return f"{self.label(0)}: its numbers are stored as text"


def read_tables(path: Path, columns: Sequence[str], delimiter: str | None, decimal_point: str) -> list[LogTable]:
    """Read a file or folder as one table, or as one for each of its episodes.

    Args:
        path: the file or folder.
        columns: the columns that the mapping names, for formats that hold more than a table.
        delimiter: the character between the columns of a CSV; None to find it.
        decimal_point: the decimal point of a CSV.

    Raises:
        ExchangeError: the file is missing, cut short, or of no known format.
        WorldError: it has no such columns.
        EngineError: its format needs a package that is not installed.
    """
    if path.is_dir():
        return _read_folder(path, columns)
    if not path.is_file():
        raise ExchangeError(f"{path}: no such log")
    if path.stat().st_size == 0:
        raise ExchangeError(f"{path}: an empty log, the file has no bytes")
    ending = path.suffix.lower()
    if ending in (".csv", ".tsv", ".txt"):
        return [read_csv(path, delimiter, decimal_point)]
    if ending == ".parquet":
        return [LogTable(str(path), columns_of(_read_parquet(path)))]
    if ending == ".npz":
        return _read_npz(path, columns)
    if ending in (".hdf5", ".h5"):
        return _read_minari(path)
    if ending in (".mcap", ".db3"):
        return [_read_bag(path, columns)]
    raise ExchangeError(f"{path}: " + unknown_name("format of log", ending, _ENDINGS))


def _read_folder(path: Path, columns: Sequence[str]) -> list[LogTable]:
    """Read the folder of a data set or a bag."""
    if (path / _LEROBOT_INFO).is_file():
        return [_read_lerobot(path, columns)]
    if (path / "metadata.yaml").is_file():
        return [_read_bag(path, columns)]
    for file in (path / _MINARI_FILE, path / "data" / _MINARI_FILE):
        if file.is_file():
            return _read_minari(file)
    raise ExchangeError(
        f"{path}: a folder without a log; LeRobot has {_LEROBOT_INFO}, Minari {_MINARI_FILE}, ROS 2 metadata.yaml"
    )


def read_csv(path: Path, delimiter: str | None = None, decimal_point: str = ".") -> LogTable:
    """Read a CSV file.

    Empty fields are missing values; a ``#`` before the first line, as numpy writes it, is not part of a name.

    Args:
        path: the file.
        delimiter: the character between columns; by default the most frequent of ``, ; tab`` in the first line.
        decimal_point: ``.`` or ``,``.

    Raises:
        ExchangeError: the file is empty or not a CSV, or a line has another number of fields than the first; the
            message names it.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = next(file, "").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ExchangeError(f"{path}: not a text file in UTF-8, so no CSV; save it again as UTF-8") from None
    if not first.strip():
        raise ExchangeError(f"{path}: an empty log; its first line has to name the columns")
    delimiter = delimiter or max((",", ";", "\t"), key=first.count)
    names = [name.strip().strip('"') for name in first.lstrip("# ").split(delimiter)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ExchangeError(f"{path}, line 1: two columns have the name '{twice}'; rename one")
    ragged: list[csv.InvalidRow] = []

    def seen(row: csv.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    try:
        table = csv.read_csv(
            path,
            read_options=csv.ReadOptions(column_names=names, skip_rows=1, use_threads=False),
            parse_options=csv.ParseOptions(delimiter=delimiter, invalid_row_handler=seen),
            convert_options=csv.ConvertOptions(decimal_point=decimal_point, strings_can_be_null=True),
        )
    except pa.ArrowInvalid as error:
        raise ExchangeError(f"{path}: not a CSV file ({one_line(error)})") from None
    if ragged:
        row = ragged[0]
        line = _line_of_row(path, row.number - 2)  # it counts the line of names and leaves out empty ones
        raise ExchangeError(
            f"{path}, line {line}: {row.actual_columns} fields where the first line has {row.expected_columns}; "
            f"the file is cut short or a field holds the delimiter '{delimiter}'"
        )
    if not table.num_rows:
        raise ExchangeError(f"{path}: an empty log, it has the line of names and no row")
    return LogTable(str(path), columns_of(table), label=lambda row: f"line {_line_of_row(path, row)}")


def _line_of_row(path: Path, row: int) -> int:
    """Return the line of the file in which a row stands; empty lines do not count."""
    with path.open(encoding="utf-8-sig") as file:
        filled = (number for number, line in enumerate(file, start=1) if number > 1 and line.strip("\r\n"))
        return next(islice(filled, row, None))


def _read_parquet(path: Path, wanted: Collection[str] | None = None) -> pa.Table:
    """Read a Parquet file, or those of its columns that are wanted, without the metadata of the schema.

    Raises:
        ExchangeError: it is cut short or no Parquet.
    """
    try:
        # one file: nothing in its folder's name is a column
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            names = file.schema_arrow.names
            columns = None if wanted is None else [name for name in names if name in wanted]
            table: pa.Table = file.read(columns)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = one_line(error)
        raise ExchangeError(f"{path}: not a whole Parquet file ({reason}); write or copy it again") from None
    return table.replace_schema_metadata(None)


def _read_npz(path: Path, columns: Sequence[str]) -> list[LogTable]:
    """Read one table; or, where the mapping's names hold a ``*``, one for each text that it stands for."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        reason = one_line(error)
        raise ExchangeError(f"{path}: not a whole npz file of numbers ({reason}); save it again") from None
    arrays = {name: array for name, array in arrays.items() if array.ndim in (1, 2)}
    patterns = sorted({text.partition("[")[0].strip() for text in columns if "*" in text.partition("[")[0]})
    if not patterns:
        return [LogTable(str(path), arrays)]
    expressions = {pattern: re.compile(re.escape(pattern).replace(r"\*", "(.*)", 1)) for pattern in patterns}
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        for pattern, expression in expressions.items():
            match = expression.fullmatch(name)
            if match is not None:
                found.setdefault(match[1], {})[pattern] = array
    shared = {name: array for name, array in arrays.items() if not any(e.fullmatch(name) for e in expressions.values())}
    if not found:
        raise ExchangeError(f"{path}: " + unknown_name("array", patterns[0], arrays))
    for text, entry in found.items():
        missing = [pattern.replace("*", text, 1) for pattern in patterns if pattern not in entry]
        if missing:
            raise ExchangeError(f"{path}: " + unknown_name("array", missing[0], arrays))
    return [LogTable(f"{path}, {patterns[0].replace('*', text, 1)}", shared | entry) for text, entry in found.items()]


def _read_lerobot(folder: Path, columns: Sequence[str]) -> LogTable:
    """Read the frames of all episodes of a data set of LeRobot v3, with pyarrow alone.

    Layout (``lerobot.datasets.utils`` of LeRobot 0.4): ``meta/info.json`` with ``codebase_version``, ``fps``,
    ``total_frames`` and the ``features``, each with its ``dtype``, ``shape`` and ``names``; the frames of many episodes
    in ``data/chunk-000/file-000.parquet`` and so on, told apart by ``episode_index``.

    Args:
        folder: the data set's folder, the one that holds ``meta`` and ``data``.
        columns: the columns that a mapping names; others, such as images, are not read.

    Raises:
        ExchangeError: another version, a file that is missing or cut short, or fewer frames than it claims to have.
    """
    info = _lerobot_info(folder)
    features: Mapping[str, Any] = info["features"]
    wanted = {text.partition("[")[0].strip() for text in columns} | set(_LEROBOT_COLUMNS) | set(columns)
    files = sorted((folder / "data").glob("chunk-*/file-*.parquet"))
    if not files:
        raise ExchangeError(f"{folder}: its data are missing; there is no data/chunk-*/file-*.parquet")
    parts = [_read_parquet(file, wanted) for file in files]
    try:
        frames = pa.concat_tables(parts)
    except pa.ArrowInvalid as error:
        raise ExchangeError(f"{folder}: its files differ in columns ({one_line(error)})") from None
    if frames.num_rows != info["total_frames"]:
        raise ExchangeError(
            f"{folder}: {frames.num_rows} frames in its {len(files)} files, {_LEROBOT_INFO} says "
            f"{info['total_frames']}; copy it again"
        )
    components = {
        name: _component_names(features[name].get("names")) for name in features if name in frames.column_names
    }
    return LogTable(
        str(folder),
        columns_of(frames),
        components={name: names for name, names in components.items() if names},
        label=lambda row: f"frame {row}",
        time="timestamp",
        time_unit="s",
        period=1.0 / float(info["fps"]),
        episode_column="episode_index",
    )


def _lerobot_info(folder: Path) -> dict[str, Any]:
    """Read the description of a data set of LeRobot."""
    path = folder / _LEROBOT_INFO
    try:
        info: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version, fps = str(info["codebase_version"]), float(info["fps"])
        sound = isinstance(info["features"], dict) and isinstance(info["total_frames"], int) and fps > 0
        sound = sound and all(isinstance(feature, dict) for feature in info["features"].values())
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ExchangeError(f"{path}: not the description of a LeRobot data set ({error!r})") from None
    if not version.startswith("v3."):
        raise ExchangeError(f"{path}: LeRobot {version}, this package reads v3; convert it with LeRobot's own script")
    if not sound:
        raise ExchangeError(f"{path}: not the description of a LeRobot data set (features, total_frames and fps)")
    return info


def _component_names(names: object) -> tuple[str, ...]:
    """Return the names of a feature's components: a list, or lists by kind as in ``{"motors": [...]}``."""
    if isinstance(names, Mapping):
        names = [name for group in names.values() if isinstance(group, list) for name in group]
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def _read_minari(path: Path) -> list[LogTable]:
    """Read a data set of Minari: one table per episode, in their order, columns named by path as ``infos/qpos``.

    Layout (``minari.dataset._storages.hdf5_storage`` of Minari 0.5): ``main_data.hdf5`` with a group ``episode_0``, ...
    for every episode, in it ``observations`` (T + 1 rows; a group where the space is a dictionary), ``actions``,
    ``rewards``, ``terminations`` and ``truncations`` (T rows), and ``infos``, a group of more of them.

    Args:
        path: the HDF5 file.

    Raises:
        EngineError: h5py is not installed.
        ExchangeError: the file is cut short, no HDF5, or holds no episodes.
    """
    try:
        import h5py
    except ImportError:
        raise EngineError(f"{path}: HDF5 files need h5py: pip install 'sim2real-cat[logs]'") from None
    try:
        with h5py.File(path, "r") as file:
            groups = {int(match[1]): name for name in file if (match := _MINARI_EPISODE.fullmatch(name)) is not None}
            if not groups:
                raise ExchangeError(f"{path}: no Minari data set, it has no group 'episode_0'")
            return [_minari_episode(path, number, file[groups[number]]) for number in sorted(groups)]
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        reason = one_line(error)
        raise ExchangeError(f"{path}: not a whole HDF5 file ({reason}); write or copy it again") from None


def _minari_episode(path: Path, number: int, group: Any) -> LogTable:
    """Read one episode of a data set of Minari."""
    import h5py

    columns: dict[str, Column] = {}

    def visit(name: str, entry: object) -> None:
        if isinstance(entry, h5py.Dataset) and entry.ndim:
            values = entry[()]
            if values.dtype.kind in "fiub":
                columns[name] = values.reshape(len(values), -1) if values.ndim > 1 else values

    group.visititems(visit)
    return LogTable(f"{path}, episode {number}", columns, label=lambda row: f"step {row}")


def _read_bag(path: Path, columns: Sequence[str]) -> LogTable:
    """Read the topics that a mapping names, with rosbags; every topic is a stream with a clock of its own.

    A column is a topic and a field, as ``/imu.angular_velocity.z`` or ``/joint_states.position[elbow]``: the arrays
    of a ``sensor_msgs/JointState`` go by the names of its joints, which may differ in order and number from message to
    message. ``/topic.header.stamp`` is when a message was measured and ``/topic.log_time`` when it was received, both
    in ns; the first is its clock, the second where messages have no header.

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
        for key, column in own.items():
            found[f"{topic}.{key}"] = column
            clocks[f"{topic}.{key}"] = f"{topic}.{_STAMP if stamped else _LOG_TIME}"
        components |= {f"{topic}.{key}": names[key] for key in names}
    return LogTable(str(path), found, components, label=lambda row: f"message {row}", clocks=clocks, time_unit="ns")


def _refuse_cut_short(path: Path) -> None:
    """Refuse an MCAP file that does not begin and end as the format asks for."""
    with path.open("rb") as file:
        first = file.read(len(_MCAP_MAGIC))
        file.seek(-min(len(_MCAP_MAGIC), path.stat().st_size), 2)
        last = file.read()
    if first != _MCAP_MAGIC or last != _MCAP_MAGIC:
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
    rows = [_message_fields(message) for _, message in messages]
    if all("name" in row and isinstance(row["name"], list) for row in rows):
        joints = tuple(dict.fromkeys(joint for row in rows for joint in row["name"]))
        for key in _JOINT_ARRAYS:
            columns[key] = _by_joint(rows, key, joints)
            names[key] = joints
    for key, first in rows[0].items():
        if key in columns or not isinstance(first, int | float | np.ndarray):
            continue
        values = [np.asarray(row.get(key)) for row in rows]
        if all(value.dtype.kind in "fiub" and value.shape == values[0].shape for value in values):
            column = np.stack(values)
            columns[key] = column.reshape(len(column), -1) if column.ndim > 1 else column
    return columns, names


def _by_joint(rows: Sequence[Mapping[str, Any]], key: str, joints: Sequence[str]) -> Column:
    """Return an array of joint states with a column for every joint, NaN where a message lacks the joint."""
    place = {joint: i for i, joint in enumerate(joints)}
    column = np.full((len(rows), len(joints)), np.nan)
    for row, entry in enumerate(rows):
        values = entry[key]
        if len(values) == len(entry["name"]):
            column[row, [place[joint] for joint in entry["name"]]] = values
    return column


def _message_fields(message: Any, prefix: str = "") -> dict[str, Any]:
    """Return the fields of a message by their path; stamps in ns."""
    found: dict[str, Any] = {}
    for key in message.__dataclass_fields__:
        value = getattr(message, key)
        if key.startswith("__"):
            continue
        inner = getattr(value, "__dataclass_fields__", None)
        if inner is None:
            found[prefix + key] = value
        elif {"sec", "nanosec"} <= set(inner):
            found[prefix + key] = int(value.sec) * 1_000_000_000 + int(value.nanosec)
        else:
            found |= _message_fields(value, f"{prefix}{key}.")
    return found


def columns_of(table: pa.Table) -> dict[str, Column]:
    """Return every column of an Arrow table as (rows,) or, where it holds lists of one length, (rows, k).

    Whole numbers stay whole where none is missing, so that timestamps in nanoseconds keep all their digits; missing
    numbers are NaN, missing texts None. Columns of other types (images, lists of different lengths) are left out.
    """
    found = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        values = _values(column)
        if values is not None:
            found[name] = values
    return found


def _values(column: pa.Array) -> Column | None:
    """Return an Arrow array as a numpy array; None for types that are left out."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if pa.types.is_boolean(kind):
        return _values(column.cast(pa.int8()))
    if pa.types.is_decimal(kind):
        return _values(column.cast(pa.float64()))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return np.asarray(column.cast(pa.timestamp("ns")).to_numpy(zero_copy_only=False))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array(column.to_pylist(), dtype=object)
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _vectors(column)
    return None


def _vectors(column: pa.Array) -> Column | None:
    """Return lists as a matrix, NaN where one is missing; None where they differ in length."""
    valid = np.asarray(column.is_valid().to_numpy(zero_copy_only=False))
    flat = column.drop_null().flatten() if not valid.all() else column.flatten()
    inner = _values(flat)
    rows = int(valid.sum())
    if inner is None or inner.dtype.kind not in "fiu" or (rows and len(inner) % rows):
        return None
    fixed = pa.types.is_fixed_size_list(column.type)
    width = len(inner) // rows if rows else column.type.list_size if fixed else 0
    if not fixed:
        lengths = column.drop_null().value_lengths().to_numpy(zero_copy_only=False)
        if rows and (lengths != width).any():
            return None
    inner = inner.reshape(rows, width * math.prod(inner.shape[1:]))
    if valid.all():
        return inner
    matrix = np.full((len(column), inner.shape[1]), np.nan)
    matrix[valid] = inner
    return matrix
