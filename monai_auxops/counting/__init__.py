"""Voxel counts by class: one interface, four backends."""
