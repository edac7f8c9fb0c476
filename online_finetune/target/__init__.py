"""Small target models over shared features."""
