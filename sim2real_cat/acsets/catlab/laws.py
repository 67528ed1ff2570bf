"""Laws of the sim-to-real schema as the Julia module finds them on an instance."""

from __future__ import annotations

import json

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.catlab.crossing import handle_of


def law_rows(instance: ACSet, law: str, epsilon: float) -> list[tuple[str, str, int]]:
    """The rows that break a law or leave it open: verdict, object and id.

    Args:
        instance: an instance of `SchSim2RealTransfer` or an extension.
        law: a name in the Julia module's `LAWS`.
        epsilon: the bound under which a policy transfers, in the unit of ``kl_gap``.

    Raises:
        EngineError: where the Julia module does not know the law.
    """
    rows = json.loads(str(julia.call("law_rows", handle_of(instance), law, float(epsilon))))
    return [(str(verdict), str(ob), int(number) - 1) for verdict, ob, number in rows]
