"""Assemble the files of a MONAI bundle and write its folder."""
