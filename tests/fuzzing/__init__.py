"""Random programs in plain NumPy, and what must hold of each: ``python -m fuzzing`` with ``PYTHONPATH=.:tests``."""
