"""One module per verb: a ``Config`` that imports nothing heavy, and ``main(config)``."""
