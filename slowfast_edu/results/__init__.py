"""Tables as package data: figures that others report, each with its source."""
