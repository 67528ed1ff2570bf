from . import strategies as strategies
from .assertions import assert_laws as assert_laws
