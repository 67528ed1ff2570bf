from .mapping import Channel as Channel
from .mapping import LogMapping as LogMapping
from .mapping import Time as Time
from .reader import read_log as read_log
