"""The scenarios: one module each, with `run(ground, options) -> Outcome`."""
