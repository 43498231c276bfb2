"""Count voxels by class: one interface, four backends."""
