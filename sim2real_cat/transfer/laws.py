"""The laws of the schema: what must hold in every instance, each checked alone, each naming the rows that break it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.engines import ENGINES
from sim2real_cat.errors import LawError, unknown_name

Verdict = Literal["holds", "violated", "undecided"]

DEFAULT_EPSILON = 0.5
"""Nats per control step under which a policy transfers: above it the source document calls a transition a mismatch."""


@dataclass(frozen=True)
class Witness:
    """One row that breaks a law or leaves it open.

    Attributes:
        verdict: ``violated`` or ``undecided``.
        ob: the object the row belongs to.
        id: its 0-based id.
        message: what is wrong with it, with the values.
    """

    verdict: Verdict
    ob: str
    id: int
    message: str


@dataclass(frozen=True)
class Law:
    """A law as a value.

    Attributes:
        name: what it is called on the command line.
        statement: what it says, in words.
        symbols: what it says, in symbols.
        witnesses: the rows of an instance that break it or leave it open, given epsilon.
    """

    name: str
    statement: str
    symbols: str
    witnesses: Callable[[ACSet, float], Iterable[Witness]]

    def check(self, instance: ACSet, epsilon: float = DEFAULT_EPSILON) -> LawResult:
        """Whether the law holds in an instance, with every row that says otherwise.

        Where the instance lives in Catlab, a law of :data:`ALL` is evaluated there.
        """
        found = tuple(self.witnesses(instance, epsilon))
        if instance.engine == "catlab" and self in ALL:
            found = _by_catlab(self, instance, epsilon, found)
        verdicts = {witness.verdict for witness in found}
        if "violated" in verdicts:
            return LawResult(self, "violated", found)
        return LawResult(self, "undecided" if verdicts else "holds", found)


@dataclass(frozen=True)
class LawResult:
    """What checking one law gave."""

    law: Law
    verdict: Verdict
    witnesses: tuple[Witness, ...]


@dataclass(frozen=True)
class LawReport:
    """What checking several laws gave.

    Attributes:
        epsilon: the bound, in the unit of `kl_gap`, under which a policy transfers.
        results: one for each law, in the order asked.
    """

    epsilon: float
    results: tuple[LawResult, ...]

    @property
    def verdict(self) -> Verdict:
        """``violated`` if any law is, else ``undecided`` if any is, else ``holds``."""
        verdicts = {result.verdict for result in self.results}
        if "violated" in verdicts:
            return "violated"
        return "undecided" if "undecided" in verdicts else "holds"

    def __getitem__(self, name: str) -> LawResult:
        for result in self.results:
            if result.law.name == name:
                return result
        raise LawError(unknown_name("law", name, [result.law.name for result in self.results]))

    def to_table(self) -> dict[str, object]:
        """The report as plain values for JSON."""
        return {
            "epsilon": self.epsilon,
            "verdict": self.verdict,
            "laws": [
                {
                    "name": result.law.name,
                    "statement": result.law.statement,
                    "symbols": result.law.symbols,
                    "verdict": result.verdict,
                    "witnesses": [vars(witness) for witness in result.witnesses],
                }
                for result in self.results
            ],
        }


def check(instance: ACSet, epsilon: float = DEFAULT_EPSILON, laws: Sequence[str] | None = None) -> LawReport:
    """Check laws by name, all of them where none are named.

    Raises:
        LawError: an unknown law, or an epsilon that is not a positive number.
    """
    if not (np.isfinite(epsilon) and epsilon > 0):
        raise LawError(f"epsilon must be a positive number of nats, got {epsilon}")
    known = {law.name: law for law in ALL}
    for name in laws or ():
        if name not in known:
            raise LawError(unknown_name("law", name, known))
    chosen = ALL if laws is None else tuple(known[name] for name in laws)
    return LawReport(epsilon, tuple(law.check(instance, epsilon) for law in chosen))


def check_in_both(instance: ACSet, epsilon: float = DEFAULT_EPSILON, laws: Sequence[str] | None = None) -> LawReport:
    """Check laws in both engines, which must find the same; arguments are those of :func:`check`.

    Raises:
        LawError: where they do not, naming the law and the first row of which they differ; and as :func:`check`.
        EngineError: where Catlab is not here.
    """
    one, other = (check(instance.to_engine(engine), epsilon, laws) for engine in ENGINES)
    for here, there in zip(one.results, other.results, strict=True):
        differing = sorted(_rows(here.witnesses) ^ _rows(there.witnesses), key=str)
        if differing:
            verdict, ob, row = differing[0]
            finds, not_ = ("Catlab", "embedded") if differing[0] in _rows(there.witnesses) else ("embedded", "Catlab")
            raise LawError(
                f"the engines differ on law '{here.law.name}' at {len(differing)} rows: {ob} {row} is {verdict} for "
                f"{finds} and not for {not_}; this is a fault of sim2real_cat: please report the instance"
            )
    return one


def _rows(witnesses: Iterable[Witness]) -> set[tuple[Verdict, str, int]]:
    return {(witness.verdict, witness.ob, witness.id) for witness in witnesses}


def _by_catlab(law: Law, instance: ACSet, epsilon: float, here: Sequence[Witness]) -> tuple[Witness, ...]:
    """The rows that Catlab finds, with the words that are found here for them."""
    from sim2real_cat.acsets.catlab.laws import law_rows

    rows = dict.fromkeys(law_rows(instance, law.name, epsilon))
    agreed = [witness for witness in here if (witness.verdict, witness.ob, witness.id) in rows]
    unshared = [
        Witness(cast("Verdict", verdict), ob, part, f"{verdict} according to Catlab alone")
        for verdict, ob, part in rows
        if (verdict, ob, part) not in _rows(here)
    ]
    return (*agreed, *unshared)


def _each(verdict: Verdict, ob: str, rows: NDArray[np.bool_], message: Callable[[int], str]) -> list[Witness]:
    """A witness for every row where the mask is set."""
    return [Witness(verdict, ob, int(row), message(int(row))) for row in np.flatnonzero(rows)]


def _functor(instance: ACSet, epsilon: float) -> Iterable[Witness]:
    for hom, (domain, codomain) in instance.schema.homs.items():
        if hom != "transfer":
            undefined = instance.column(hom) < 0

            def message(row: int, hom: str = hom, codomain: str = codomain) -> str:
                return f"{hom} is undefined, but every part needs a {codomain}"

            yield from _each("violated", domain, undefined, message)


def _gap_valid(instance: ACSet, epsilon: float) -> Iterable[Witness]:
    values = np.ma.filled(instance.column("kl_gap"), 0.0)
    wrong = ~np.isfinite(values) | (values < 0)
    return _each("violated", "Policy", wrong, lambda row: f"kl_gap is {values[row]:g}, but must be finite and >= 0")


def intervals(instance: ACSet) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Gap, lower and upper end of every policy, (n,) each, NaN where the gap was not measured.

    A gap without an interval is taken at its word; a lower end without an upper one reaches to infinity.
    """
    gap = np.asarray(np.ma.filled(instance.column("kl_gap"), np.nan))
    if not {"gap_low", "gap_high"} <= set(instance.schema.attrs):
        return gap, gap, gap
    low, high = (np.asarray(np.ma.filled(instance.column(name), np.nan)) for name in ("gap_low", "gap_high"))
    high = np.where(np.isnan(high) & ~np.isnan(low), np.inf, high)
    return gap, np.where(np.isnan(low), gap, low), np.where(np.isnan(high), gap, high)


def _doubtful(instance: ACSet) -> NDArray[np.bool_]:
    """The policies whose gap its own estimator called unreliable."""
    if "gap_reliable" not in instance.schema.attrs:
        return np.zeros(instance.nparts("Policy"), dtype=bool)
    return ~np.ma.filled(instance.column("gap_reliable"), True)


def _transfer_identity(instance: ACSet, epsilon: float) -> Iterable[Witness]:
    gap, low, high = intervals(instance)
    transfer = instance.column("transfer")
    measured = ~np.isnan(gap)
    identity = transfer == instance.parts("Policy")
    straddles = measured & (low < epsilon) & (high >= epsilon)
    doubtful = measured & ~straddles & _doubtful(instance)
    open_ = straddles | doubtful
    under, over = measured & ~open_ & (gap < epsilon), measured & ~open_ & (gap >= epsilon)
    said = [_arrow(target, row) for row, target in enumerate(transfer)]
    yield from _each(
        "violated",
        "Policy",
        under & ~identity,
        lambda row: f"kl_gap {_told(gap[row], epsilon)} < {epsilon:g}, but transfer {said[row]} instead of itself",
    )
    yield from _each(
        "violated",
        "Policy",
        over & identity,
        lambda row: f"kl_gap {_told(gap[row], epsilon)} >= {epsilon:g}, but transfer is the identity",
    )
    yield from _each(
        "undecided",
        "Policy",
        straddles,
        lambda row: (
            f"the interval [{_told(low[row], epsilon)}, {_told(high[row], epsilon)}] of kl_gap straddles {epsilon:g}"
        ),
    )
    yield from _each(
        "undecided", "Policy", doubtful, lambda row: f"kl_gap {gap[row]:.4g} is marked unreliable, see gap_note"
    )
    yield from _each(
        "undecided",
        "Policy",
        ~measured & (transfer >= 0),
        lambda row: f"transfer {said[row]}, but kl_gap was not measured",
    )


def _told(value: float, epsilon: float) -> str:
    """Four significant digits, or all where four would put the value on the other side of epsilon."""
    short = f"{value:.4g}"
    return short if (float(short) < epsilon) == (value < epsilon) else repr(float(value))


def _arrow(target: int, row: int) -> str:
    if target < 0:
        return "is undefined"
    return "is the identity" if target == row else f"goes to Policy {target}"


def _transfer_idempotent(instance: ACSet, epsilon: float) -> Iterable[Witness]:
    transfer = instance.column("transfer")
    defined = transfer >= 0
    twice = np.where(defined, transfer[np.maximum(transfer, 0)], -1) if len(transfer) else transfer
    return _each(
        "violated",
        "Policy",
        defined & (twice != transfer),
        lambda row: f"Policy {transfer[row]} took over, but its own transfer {_arrow(twice[row], transfer[row])}",
    )


def _transfer_deploy(instance: ACSet, epsilon: float) -> Iterable[Witness]:
    transfer, deploy = instance.column("transfer"), instance.column("deploy")
    after = np.where(transfer >= 0, deploy[np.maximum(transfer, 0)], -1) if len(transfer) else deploy
    return _each(
        "violated",
        "Policy",
        (deploy >= 0) & (after >= 0) & (after != deploy),
        lambda row: (
            f"runs on RealEnv {deploy[row]}, but Policy {transfer[row]}, which took over, runs on RealEnv {after[row]}"
        ),
    )


ALL: tuple[Law, ...] = (
    Law(
        "functor",
        "Every arrow but transfer is defined on every part; transfer is undefined only where no policy took over.",
        "train, deploy, observe_sim, observe_real total; transfer partial",
        _functor,
    ),
    Law(
        "gap-valid",
        "A measured gap is finite and not negative; a policy that was not evaluated has none.",
        "0 <= kl_gap(π) < ∞",
        _gap_valid,
    ),
    Law(
        "transfer-identity",
        "A policy is its own transfer exactly when its gap is under epsilon.",
        "transfer(π) = π ⇔ kl_gap(π) < ε",
        _transfer_identity,
    ),
    Law(
        "transfer-idempotent",
        "A policy that took over transfers itself.",
        "transfer·transfer = transfer, where defined",
        _transfer_idempotent,
    ),
    Law(
        "transfer-deploy",
        "A policy that takes over runs on the same robot.",
        "transfer·deploy = deploy, where defined",
        _transfer_deploy,
    ),
)
"""The laws that an instance is checked against, in the order of the design."""
