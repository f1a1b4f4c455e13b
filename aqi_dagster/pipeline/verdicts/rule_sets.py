"""The two sets of rules by name: the streaming notebook's, and the network's."""

from aqi_dagster.pipeline.verdicts.network_rules import NetworkRules
from aqi_dagster.pipeline.verdicts.notebook_rules import NotebookRules
from aqi_dagster.pipeline.verdicts.regional_window import Rules

RULE_SETS: dict[str, Rules] = {rules.name: rules for rules in (NotebookRules(), NetworkRules())}
"""Rules by the name that the setting has for them."""
