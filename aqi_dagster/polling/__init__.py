"""Feeds: sensors are asked again and again, and each of their readings is sent to the topic once.

Above :mod:`~aqi_dagster.feeds`, whose readers make messages of answers and whose producer sends them; below Dagster's
assets, because a check reads what a feed has noted. Others use :mod:`commands`, :mod:`supervisor` and :mod:`liveness`.
"""
