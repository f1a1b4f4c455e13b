"""Dagster resources: they turn settings and secrets into objects of the pipeline."""
