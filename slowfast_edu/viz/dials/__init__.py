"""Dials over figures, a file for each: turn one, and picture and sentence follow."""
