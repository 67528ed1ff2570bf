"""The operations that Catlab 0.17.4 does not compute, with the reasons: one list for the code and the page on Catlab.

Each refusal is an error that names what was found and the remedy. Nothing is computed by another engine in silence.
"""

from __future__ import annotations

from typing import NamedTuple

from sim2real_cat.errors import EngineError


class Refusal(NamedTuple):
    """An operation that Catlab computes under a condition.

    Attributes:
        operation: the operation, as a sentence names it.
        needs: the condition.
        reason: why Catlab needs it.
        verb: a verb for what Catlab does with the operation.
        remedy: an instruction that leads to an answer.
    """

    operation: str
    needs: str
    reason: str
    verb: str = "computes"
    remedy: str = "ask the embedded engine"


REFUSALS: dict[str, Refusal] = {
    "isomorphism": Refusal(
        "isomorphisms",
        "of instances of which at most 200 parts look alike",
        "its own search took more than 6 minutes for a graph of 1000 vertices",
    ),
    "codec": Refusal(
        "instances",
        "whose attribute types are float, int, str or bool",
        "a codec's values have no type in Julia",
        verb="holds",
    ),
    "query": Refusal(
        "queries", "in whose course at most 50,000,000 rows are made", "each takes Catlab some 15 microseconds"
    ),
    "loose-product": Refusal(
        "loose products",
        "of instances of SchSim2RealTransfer and SchTransferStudy",
        "only a type that was made for a schema beforehand, by @acset_type, can change the type of its attributes",
    ),
    "sigma-variables": Refusal(
        "Σ of instances with attributes",
        "that have no attribute variables",
        "it numbers those of the result anew, but writes those of the instance under their old numbers",
    ),
    "sigma-paths": Refusal(
        "Σ of instances with attributes",
        "along functors that send attributes to attributes",
        "it looks for the homs of a longer path under the name of the whole path",
    ),
    "sigma-equations": Refusal(
        "Σ of instances with attributes",
        "into schemas whose equations are between homs",
        "it writes values where the functor sends them, and leaves variables where an equation demands the same values",
    ),
    "sigma-endomorphisms": Refusal(
        "Σ of instances with attributes",
        "between schemas without endomorphisms",
        "its chase asks of their attribute types whether a map is epic, which has no method",
    ),
}


def refused(key: str, found: str) -> EngineError:
    """Return the error for an operation of the list.

    Args:
        key: the refusal.
        found: what stands in the way, as a clause: "'Policy' has 3000 parts".
    """
    refusal = REFUSALS[key]
    return EngineError(
        f"Catlab {refusal.verb} {refusal.operation} {refusal.needs}, but {found} ({refusal.reason}): {refusal.remedy}"
    )
