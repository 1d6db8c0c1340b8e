"""Engines: from a CasADi Function to something that runs on buffers."""
