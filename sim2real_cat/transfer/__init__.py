"""The sim-to-real schema, its instances, and the deployments and gaps that they are built of."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
