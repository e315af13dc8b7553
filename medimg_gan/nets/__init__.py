"""Building blocks and networks; to the recipes, each network is its ``forward`` and no more."""
