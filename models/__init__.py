"""Material that ships with Remuda: the embedded model and the scripts that made it."""
