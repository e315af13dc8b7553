"""Training: one loop for every recipe, with exact resume (import the submodule that you need)."""
