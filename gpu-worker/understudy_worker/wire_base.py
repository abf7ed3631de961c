"""The base of every generated wire type: strict, finite numbers only, and what a later version adds is left unread."""

from pydantic import BaseModel, ConfigDict


class WireModel(BaseModel):
    """Parse with `model_validate_json`, never `model_validate`: strictness is JSON's, not Python's."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, populate_by_name=True)
