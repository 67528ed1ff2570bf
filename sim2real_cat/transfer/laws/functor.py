"""The law `functor`: an instance is one, so its arrows are total, but for `transfer`."""

from __future__ import annotations

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.transfer.laws.law import Law
from sim2real_cat.transfer.laws.witnesses import Rows, Witnesses, of_mask


def _undefined(instance: ACSet, epsilon: float) -> Witnesses:
    return Witnesses([_of_hom(instance, hom) for hom in instance.schema.homs if hom != "transfer"])


def _of_hom(instance: ACSet, hom: str) -> Rows:
    domain, codomain = instance.schema.homs[hom]
    message = f"{hom} is undefined, but every part needs a {codomain}"
    return of_mask("violated", domain, instance.column(hom) < 0, lambda row: message)


FUNCTOR = Law(
    "functor",
    "Every arrow but transfer is defined on every part; transfer is undefined only where no policy took over.",
    "train, deploy, observe_sim, observe_real total; transfer partial",
    _undefined,
    in_julia=True,
)
"""That an arrow ends in parts that exist is true of every ACSet."""
