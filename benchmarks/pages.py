def write(saved): pass
