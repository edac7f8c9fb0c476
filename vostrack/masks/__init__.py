"""Label maps: reading a first mask in any form, and writing palette PNG and run-length JSON."""
