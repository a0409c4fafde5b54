"""From photographs to faces: where the faces are, how they are cut out, and one pass over all pictures."""
