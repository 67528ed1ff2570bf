"""The predictive gap, from one-step predictions of a fibre of worlds."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
