"""Tasks: starts, observations, rewards and ends of episodes."""
