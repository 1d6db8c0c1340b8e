"""Pictures of graphs and of sparse derivatives."""
