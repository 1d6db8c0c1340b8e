"""Why a rule is over its limit."""
REASONS: dict[str, str] = {}
