"""The readings that worlds expect of their sensors, and the probability of those recorded."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
