# Made of _aio/__init__.py by scripts/unasync.py: change that one.
"""The client that blocks."""
