"""Tools to test your own data: Hypothesis strategies, `assert_laws` and the pytest plugin."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
