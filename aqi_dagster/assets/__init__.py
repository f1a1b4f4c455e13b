"""The Dagster assets, a thin file each, and the metadata, plots and log lines of their pages."""
