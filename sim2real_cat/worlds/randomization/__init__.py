"""Domain randomization: random changes of parameters, and tables of drawn worlds."""
