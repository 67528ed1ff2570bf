"""Hypothesis strategies for sim-to-real transfer: property-test your own data, laws and code.

- `schemas()`, `acsets(schema)`: databases of any shape;
- `transfer_instances()`: instances in which the laws hold by construction, and `mutations(instance)`, which break
  exactly one of them;
- `trajectories()`, `trajectory_pairs()`: recordings;
- `worlds()`, `models()`, `randomizations(world)`: small MuJoCo worlds.

`describe(instance)` is the table that a failing test shows. This is the only part of the package that needs
Hypothesis.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
