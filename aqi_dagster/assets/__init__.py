"""The Dagster assets, a thin file each, and what their pages show."""
