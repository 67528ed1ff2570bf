"""sim2real_cat."""
