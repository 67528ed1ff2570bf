"""Trajectories, their Parquet files, and the logs of robots that are read as trajectories."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
