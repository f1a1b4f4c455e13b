"""What a change of the schema asks for beyond its columns: ``to_N.sql`` fills what version N has new.

Only :mod:`~aqi_dagster.pipeline.store.migration` runs these files, on tables that are already those of this release.
"""
