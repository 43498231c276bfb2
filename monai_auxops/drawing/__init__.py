"""Names, colors and plots that handlers, metrics and the report share."""
