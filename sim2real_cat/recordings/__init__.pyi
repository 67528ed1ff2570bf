from . import logs as logs
from .logs.reader import read_log as read_log
from .parquet import iterate_log as iterate_log
from .parquet import write_log as write_log
from .trajectories import Trajectories as Trajectories
from .trajectories import concatenate as concatenate
from .trajectories import segments as segments
