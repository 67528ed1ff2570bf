from .densities import Densities as Densities
from .expectation import Expectation as Expectation
from .expectation import HiddenPredictor as HiddenPredictor
from .expectation import Predictor as Predictor
from .readings import FittedReadings as FittedReadings
from .readings import reading_densities as reading_densities
