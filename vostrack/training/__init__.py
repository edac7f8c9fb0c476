"""Training the networks that are shipped or brought along."""
