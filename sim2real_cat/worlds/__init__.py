"""Simulated worlds: models, tasks, sensors and their noise, randomization, rollouts, and worlds of other simulators."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
