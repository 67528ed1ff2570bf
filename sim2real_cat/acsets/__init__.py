"""Databases whose schema is a category (ACSets): schemas, instances, maps, migrations, queries. No robot in here."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
