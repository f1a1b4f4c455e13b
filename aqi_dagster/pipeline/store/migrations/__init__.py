"""Statements that fill new columns: ``to_N.sql`` fills those that version N of the schema has added.

Only :mod:`~aqi_dagster.pipeline.store.migration` runs these files, on tables that are already those of this release.
"""
