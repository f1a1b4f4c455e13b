"""The rules for verdicts as a Dagster resource."""

import dagster as dg
from pydantic import Field

from aqi_dagster.pipeline.verdicts.regional_window import Rules
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS


class RulesResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """By which rules verdicts are reached."""

    name: str = Field(default="notebook", description="notebook or network")

    @property
    def rules(self) -> Rules:
        """The rules as the pipeline takes them."""
        return RULE_SETS[self.name]
