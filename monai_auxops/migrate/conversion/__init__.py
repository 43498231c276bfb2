"""Convert Clara's components by the rules, and check how they fit together."""
