"""Every elementwise rule, reduction and special function at special values and at kinks, cell by cell."""
