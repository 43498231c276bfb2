"""The connection of aux-ops to an Ignite engine: its events, its output, its resumed runs."""
