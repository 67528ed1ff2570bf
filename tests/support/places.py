"""Folders that tests read."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The checkout."""

SHARED = ROOT.parent / "shared"
"""Recordings and cases that lie beside the checkout, where it has them."""
