from .description import Description as Description
from .description import read_description as read_description
from .folder import recompute_gaps as recompute_gaps
from .result import StudyResult as StudyResult
from .study import Study as Study
