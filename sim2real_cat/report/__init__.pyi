from .figure import draw_policies as draw_policies
from .figure import save_figure as save_figure
from .page import write_page as write_page
from .summary import PolicySummary as PolicySummary
from .summary import summaries as summaries
