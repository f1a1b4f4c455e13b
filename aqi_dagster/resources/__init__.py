"""Dagster resources: settings and secrets, as the pipeline takes them."""
