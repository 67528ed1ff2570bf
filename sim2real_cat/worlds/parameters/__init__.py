"""Parameters of a model: their names, their limits, and how a batch takes them."""
