"""Models: fine-tune on a pinned table version, register by evidence, score inside Spark. Importing it imports no torch."""
