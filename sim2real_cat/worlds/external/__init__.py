"""Worlds whose physics is another simulator's."""
