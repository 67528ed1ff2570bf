"""Narya events: for every transition of a deployment, what simulation expected and what reality did.

The format is the source document's `Sim2RealNaryaEvent`; a log keeps the events of a deployment as columns. The trit
of an event says how well the transition matched, as an element of GF(3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import EvidenceError
from sim2real_cat.files import replacing

TRANSFER_THRESHOLD = 0.5
"""Nats per transition above which a transition counts as a failure of transfer."""

EXACT_MATCH = 0.1
"""Nats per transition under which simulation and reality match exactly: trit +1."""

MISMATCH = 0.5
"""Nats per transition above which they do not match: trit -1."""


def trits(kl_gap: ArrayLike) -> NDArray[np.int8]:
    """Return +1 for a gap under 0.1 (exact match), -1 above 0.5 (mismatch), 0 between (within tolerance).

    The source document's code swaps 0 and +1 against its own field comment; the comment is followed.
    """
    gaps = np.asarray(kl_gap)
    return (gaps < EXACT_MATCH).astype(np.int8) - (gaps > MISMATCH).astype(np.int8)


def conserved(values: ArrayLike) -> bool:
    """Return whether the trits sum to 0 in GF(3)."""
    return int(np.sum(values, dtype=np.int64)) % 3 == 0


@dataclass(frozen=True)
class TransferDelta:
    """Distances of one transition of reality from its simulation.

    Attributes:
        kl_gap: ln P_real(o'|o) - ln P_sim(o'|o) [nats]; over a deployment its mean is the plug-in gap.
        observation_error: ||o_real - o_sim||, in the sensors' units.
        dynamics_error: ||s'_real - s'_predicted||, in the units of the state.
        latency_delta: how much later reality acts [ms].
    """

    kl_gap: float
    observation_error: float
    dynamics_error: float
    latency_delta: float


@dataclass(frozen=True)
class Sim2RealNaryaEvent:
    """One transition: what simulation expected, what reality did, and the difference.

    Attributes:
        event_id: policy, episode and step.
        before: the observation that simulation expected.
        after: the corresponding observation in reality.
        delta: the difference.
        trit: +1 exact match, 0 within tolerance, -1 mismatch.
    """

    event_id: str
    before: tuple[float, ...]
    after: tuple[float, ...]
    delta: TransferDelta
    trit: int

    @property
    def impact(self) -> int:
        """Return 1 if the transition's gap exceeds `TRANSFER_THRESHOLD`, else 0."""
        return int(self.delta.kl_gap > TRANSFER_THRESHOLD)

    def to_dict(self) -> dict[str, object]:
        """Return the event as plain values."""
        return {**vars(self), "delta": dict(vars(self.delta))}


@dataclass(frozen=True, eq=False)
class EventLog:
    """The N events of one policy's deployment, as columns.

    Attributes:
        policy: the policy's name.
        episode: (N,) real episode.
        step: (N,) control step within it.
        before: (N, d) observations that simulation expected.
        after: (N, d) observations of reality.
        kl_gap: (N,) nats.
        observation_error: (N,).
        dynamics_error: (N,).
        latency_delta: (N,) ms.
    """

    policy: str
    episode: NDArray[np.int64]
    step: NDArray[np.int64]
    before: Floats
    after: Floats
    kl_gap: Floats
    observation_error: Floats
    dynamics_error: Floats
    latency_delta: Floats

    def __post_init__(self) -> None:
        if len({len(getattr(self, name)) for name in _COLUMNS}) != 1 or self.before.shape != self.after.shape:
            raise EvidenceError(f"event log of '{self.policy}': its columns differ in length")

    @property
    def trit(self) -> NDArray[np.int8]:
        """Return the trit of every event, (N,)."""
        return trits(self.kl_gap)

    def __len__(self) -> int:
        return len(self.step)

    def __iter__(self) -> Iterator[Sim2RealNaryaEvent]:
        trit = self.trit
        for i in range(len(self)):
            delta = TransferDelta(
                float(self.kl_gap[i]),
                float(self.observation_error[i]),
                float(self.dynamics_error[i]),
                float(self.latency_delta[i]),
            )
            yield Sim2RealNaryaEvent(
                f"transfer_{self.policy}_{self.episode[i]}_{self.step[i]}",
                tuple(map(float, self.before[i])),
                tuple(map(float, self.after[i])),
                delta,
                int(trit[i]),
            )


_COLUMNS = (
    "episode",
    "step",
    "before",
    "after",
    "kl_gap",
    "observation_error",
    "dynamics_error",
    "latency_delta",
)

_SCHEMA = pa.schema(
    [
        ("policy", pa.string()),
        ("episode", pa.int64()),
        ("step", pa.int64()),
        ("before", pa.list_(pa.float64())),
        ("after", pa.list_(pa.float64())),
        *((name, pa.float64()) for name in _COLUMNS[4:]),
        ("trit", pa.int8()),
    ]
)


def write_events(path: Path, logs: Sequence[EventLog]) -> None:
    """Write the events of all deployments to one Parquet file, whole or not at all."""
    tables = [_SCHEMA.empty_table()]
    for log in logs:
        columns: dict[str, object] = {"policy": [log.policy] * len(log), "trit": log.trit}
        for name in _COLUMNS:
            values = getattr(log, name)
            columns[name] = list(values) if values.ndim == 2 else values
        tables.append(pa.table(columns, _SCHEMA))
    with replacing(path) as temporary:
        pq.write_table(pa.concat_tables(tables), temporary, compression="zstd")
