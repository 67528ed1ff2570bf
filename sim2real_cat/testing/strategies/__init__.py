"""Hypothesis strategies for sim-to-real transfer: property-test your own data, laws and code.

- `schemas()`, `acsets(schema)`: databases of any shape;
- `transfer_instances()`: instances in which the laws hold by construction, and `mutations(instance)`, which break
  exactly one of them;
- `trajectories()`, `trajectory_pairs()`: recordings;
- `worlds()`, `models()`, `randomizations(world)`: small MuJoCo worlds.

`describe(instance)` is the table that a failing test shows. This is the only part of the package that needs
Hypothesis; it is imported when it is first used.
"""

from sim2real_cat.testing.strategies.databases import acsets, attribute_values, schemas
from sim2real_cat.testing.strategies.describe import describe
from sim2real_cat.testing.strategies.instances import LAWS, transfer_instances
from sim2real_cat.testing.strategies.models import Model, models, randomizations, worlds
from sim2real_cat.testing.strategies.mutations import Mutation, mutations
from sim2real_cat.testing.strategies.recordings import trajectories, trajectory_pairs

__all__ = [
    "LAWS",
    "Model",
    "Mutation",
    "acsets",
    "attribute_values",
    "describe",
    "models",
    "mutations",
    "randomizations",
    "schemas",
    "trajectories",
    "trajectory_pairs",
    "transfer_instances",
    "worlds",
]
