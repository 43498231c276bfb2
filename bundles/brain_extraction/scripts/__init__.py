"""How this bundle's figure is drawn."""
