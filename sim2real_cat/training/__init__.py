"""Training of policies: random search, PPO, and curricula that widen a randomization."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
