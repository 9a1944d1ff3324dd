"""Pure functions from column to column that jobs share; the pure-Python core of each is a function of its own."""
