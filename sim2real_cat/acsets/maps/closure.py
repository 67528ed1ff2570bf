"""Sets of parts that the homs do not lead out of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Ids

Masks = dict[str, NDArray[np.bool_]]


def closure(instance: ACSet, parts: Mapping[str, Ids]) -> Masks:
    """The smallest set of parts with the given ones that is closed under all homs, as one mask per object."""
    schema = instance.schema
    columns = {name: instance.column_ids(name) for name in schema.homs}
    masks = {ob: np.zeros(instance.nparts(ob), np.bool_) for ob in schema.obs}
    for ob, ids in parts.items():
        masks[ob][ids] = True
    frontier = {ob: np.flatnonzero(mask) for ob, mask in masks.items()}
    while any(len(ids) for ids in frontier.values()):
        reached: dict[str, list[Ids]] = {ob: [] for ob in schema.obs}
        for name, (dom, codom) in schema.homs.items():
            targets = columns[name][frontier[dom]]
            fresh = np.unique(targets[targets >= 0])
            fresh = fresh[~masks[codom][fresh]]
            masks[codom][fresh] = True
            reached[codom].append(fresh)
        frontier = {ob: np.concatenate([np.zeros(0, np.int64), *found]) for ob, found in reached.items()}
    return masks
