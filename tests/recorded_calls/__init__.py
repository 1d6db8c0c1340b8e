"""Calls that the tests of NumPy and SciPy make, recorded while these run, and made again by traced functions."""
