"""How fast the pipeline is, as ratios to other ways of doing the same, measured side by side."""
