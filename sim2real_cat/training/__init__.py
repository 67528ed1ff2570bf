"""Training of policies: random search, PPO, curricula."""
