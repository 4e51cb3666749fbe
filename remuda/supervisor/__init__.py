"""`remuda serve`: starts the processes of one machine, keeps them alive and stops them together."""
