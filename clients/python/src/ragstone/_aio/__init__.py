"""The client that is awaited: the source of `_sync`, which `scripts/unasync.py` makes of it."""
