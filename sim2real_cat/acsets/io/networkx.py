"""The category of elements of an instance, as a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sim2real_cat.acsets.columns import UNDEFINED, Var
from sim2real_cat.acsets.storage import Storage, masked

if TYPE_CHECKING:
    import networkx


def to_networkx(instance: Storage) -> networkx.MultiDiGraph[Any]:
    """Return the Grothendieck construction of an instance.

    There is a node ``(ob, id)`` for every part, with the values of its attributes as node data
    (undefined ones left out, variables as ``Var(k)``), and for every hom f defined at a part x an edge
    from x to f(x) with the key ``f``.
    """
    import networkx

    schema = instance.schema
    graph: networkx.MultiDiGraph[Any] = networkx.MultiDiGraph()
    for ob in schema.obs:
        graph.add_nodes_from((ob, part) for part in range(instance.nparts(ob)))
        for name in schema.attrs_from(ob):
            # A list holds None where the mask is, which is where there is no value or a variable.
            for part, value in enumerate(masked(instance.cells(name)).tolist()):
                if value is not None:
                    graph.nodes[ob, part][name] = value
            variables = instance.variables(name)
            for part in np.flatnonzero(variables != UNDEFINED).tolist():
                graph.nodes[ob, part][name] = Var(int(variables[part]))
    for name, (dom, codom) in schema.homs.items():
        targets = instance.column_ids(name)
        defined = np.flatnonzero(targets != UNDEFINED)
        for part, target in zip(defined.tolist(), targets[defined].tolist(), strict=True):
            graph.add_edge((dom, part), (codom, target), key=name)
    return graph
