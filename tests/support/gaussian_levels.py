"""The gaps of Gaussian Markov processes at every level, in closed form.

The chain rule of the KL carries one level to the next (Cover and Thomas 2006, "Elements of Information Theory",
theorem 2.5.3). Of a first-order Markov process with the pair of successive observations (o, o'):

    transition = KL of (o, o') - KL of o,        trajectory of T transitions = KL of o_0 + T transition.
"""

from sim2real_cat.gaps.gaussian_kl import Moments, divergence


def leading(moments, width):
    """Return the marginal of the first `width` columns."""
    return Moments(moments.mean[:width], moments.covariance[:width, :width])


def transition_divergence(real, sim):
    """Compute E_real KL(P_real(o'|o) || P_sim(o'|o)) in nats per step, from the moments of the pairs (o, o') (2 d)."""
    width = len(real.mean) // 2
    return divergence(real, sim) - divergence(leading(real, width), leading(sim, width))


def trajectory_divergence(initial, pairs, steps):
    """Compute the KL of a whole episode of so many transitions, in nats, of first-order Markov processes.

    Args:
        initial: Moments of the first observation, real and simulated.
        pairs: Moments of the pairs of successive observations, real and simulated, averaged over the episode.
        steps: Transitions in an episode, on average.
    """
    return divergence(*initial) + steps * transition_divergence(*pairs)
