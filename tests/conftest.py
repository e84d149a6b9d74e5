"""Settings for every test: hypothesis is repeatable where it decides whether a change is good."""

import os
import signal

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("default", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# A shell has what it runs in the background ignore Ctrl-C, and so would programs that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
