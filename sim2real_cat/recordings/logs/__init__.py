"""Logs of robots: files in foreign formats, and the mappings that say what their columns mean."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
