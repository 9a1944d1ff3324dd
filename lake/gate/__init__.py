"""The gate: which rows may pass (rows.py), and whether the batch may (batch.py)."""
