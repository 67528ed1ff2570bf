"""The columns that laws read, as plain arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Ids
from sim2real_cat.transfer.laws.witnesses import Floats


def numbers(instance: ACSet, ob: str, name: str) -> Floats:
    """A numeric attribute of an object as (n,) floats, NaN where it is undefined, a variable or not in the schema."""
    if name not in instance.schema.attrs:
        return np.full(instance.nparts(ob), np.nan)
    return np.asarray(np.ma.filled(instance.column(name).astype(float), np.nan))


def texts(instance: ACSet, name: str) -> NDArray[np.object_]:
    """A text attribute of the schema as (n,) objects, '' where there is none."""
    return np.asarray(np.ma.filled(instance.column(name).astype(object), ""))


def with_interval(value: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats, Floats]:
    """A value with its interval, NaN where there is no value.

    A value without an interval is taken at its word; a lower end without an upper one reaches to infinity.
    """
    high = np.where(np.isnan(high) & ~np.isnan(low), np.inf, high)
    return value, np.where(np.isnan(low), value, low), np.where(np.isnan(high), value, high)


def intervals(instance: ACSet) -> tuple[Floats, Floats, Floats]:
    """Gap, lower and upper end of every policy, (n,) each, NaN where the gap was not measured.

    A gap without an interval is taken at its word; a lower end without an upper one reaches to infinity.
    """
    return with_interval(*(numbers(instance, "Policy", name) for name in ("kl_gap", "gap_low", "gap_high")))


def doubtful(instance: ACSet) -> NDArray[np.bool_]:
    """The policies whose gap its own estimator called unreliable, (n,)."""
    if "gap_reliable" not in instance.schema.attrs:
        return np.zeros(instance.nparts("Policy"), dtype=bool)
    return ~np.ma.filled(instance.column("gap_reliable"), True).astype(bool)


def shares(instance: ACSet) -> Floats:
    """The weight of each SimEnv in the mixture of its fibre, (m,), NaN where `train` is undefined.

    `sim_weight` over its sum in the fibre; equal weights in a fibre where one is missing.
    """
    train, weight = instance.column("train"), numbers(instance, "SimEnv", "sim_weight")
    inside = train >= 0
    policies = instance.nparts("Policy")
    unknown = np.bincount(train[inside], weights=np.isnan(weight[inside]), minlength=policies) > 0
    weight[inside] = np.where(unknown[train[inside]], 1.0, weight[inside])
    total = np.bincount(train[inside], weights=weight[inside], minlength=policies)
    share = np.full(len(train), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):  # a fibre whose weights are all 0 is no mixture
        share[inside] = weight[inside] / total[train[inside]]
    return share


def minus(left: Floats, right: Floats) -> Floats:
    """The difference of two columns, NaN where both are infinite."""
    with np.errstate(invalid="ignore", over="ignore"):
        return left - right


def along(column: Floats, targets: Ids) -> Floats:
    """Values at ids, NaN where these are undefined."""
    return np.append(column, np.nan)[targets]
