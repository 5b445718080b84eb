"""The exceptions: by gRPC code (`NotFound`), and below them by the server's reason (`CollectionNotFound`)."""

from ragstone._errors import *  # noqa: F403
from ragstone._errors import CODES as _CODES
from ragstone._errors import FieldViolation as FieldViolation
from ragstone._errors import RagstoneError as RagstoneError
from ragstone._reasons import *  # noqa: F403

by_code = dict(_CODES)
"""The exception of each gRPC code."""

for _kind in [value for value in vars().values() if isinstance(value, type) and issubclass(value, RagstoneError)]:
    # Where people find them, and what a traceback calls them.
    _kind.__module__ = "ragstone"
