"""The laws of the schema, each checked alone, each naming the rows that break it.

A law is a value, `Law`; those of the design are `ALL`, and `path_equation`, `from_query` and `from_function` make
further ones, for instances of any schema. `check` asks several.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
