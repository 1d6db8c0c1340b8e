"""The callable that a transform returns: what it keeps compiled, and how a call runs."""
