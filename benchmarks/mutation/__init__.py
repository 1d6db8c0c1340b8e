"""Small faults put into the library: which there are, the tests that see them, and what these find."""
