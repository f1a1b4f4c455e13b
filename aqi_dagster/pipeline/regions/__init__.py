"""Which region a sensor belongs to: one for all, polygons, or the county that a geocoder names.

Others use all of its modules.
"""
