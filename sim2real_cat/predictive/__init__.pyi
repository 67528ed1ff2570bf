from .estimate import GapOf as GapOf
from .estimate import MemberGaps as MemberGaps
from .estimate import PredictiveGap as PredictiveGap
from .estimate import gap_of_densities as gap_of_densities
from .gap import NoiseSource as NoiseSource
from .gap import predictive_gap as predictive_gap
