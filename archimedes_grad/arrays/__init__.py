"""Traced arrays: what NumPy code takes for an array, and what is remembered of the trace that it belongs to."""
