"""The predictive gap, from one-step predictions of a fibre of worlds."""
