"""From a function to its graph: one run on symbols."""
