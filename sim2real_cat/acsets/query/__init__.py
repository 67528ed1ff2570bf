"""Conjunctive queries over an instance: text or values in, a table of columns out."""
