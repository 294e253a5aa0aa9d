"""Assign exercises, and grade what comes back, with nbgrader."""
