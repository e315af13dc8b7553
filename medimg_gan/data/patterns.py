"""Path patterns with named fields: '{patient}/{visit}_Mask.nii.gz'."""

from __future__ import annotations

import re

from medimg_gan.errors import ConfigError

FIELDS = ("patient", "visit", "label", "modality", "sequence", "split")


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A regular expression for paths relative to the data folder, with '/' between folders.

    ``{name}`` matches within one path component; ``*`` matches anything within one component and
    ``**`` across components. A field used twice must match the same text.

    Raises:
        ConfigError: If a field's name is not one of ``FIELDS``.
    """
    seen: set[str] = set()
    parts = []
    for token in re.split(r"(\{[^{}]*\}|\*\*|\*)", pattern):
        if token.startswith("{"):
            name = token[1:-1]
            if name not in FIELDS:
                raise ConfigError(
                    f"pattern {pattern!r}: unknown field {token}",
                    observed=f"known fields: {', '.join('{' + field + '}' for field in FIELDS)}",
                )
            parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>[^/]+?)")
            seen.add(name)
        else:
            parts.append({"**": ".*", "*": "[^/]*"}.get(token, re.escape(token)))
    return re.compile("".join(parts))


def stem_before_tail(pattern: str, fields: dict[str, str]) -> str:
    """The pattern filled in up to its last field: what a mask and its image have in common.

    '{patient}/{visit}_Mask.nii.gz' with patient 03, visit Pre -> '03/Pre'.
    """
    end = pattern.rfind("}") + 1
    return pattern[:end].format(**fields)
