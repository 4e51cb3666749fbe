"""The cases, a file each: what is run, its defaults, and what should come of it."""
