"""A package, so that its processes find it before the tests that some wheels install."""
