"""What worlds expect of sensors, and how probable recorded readings are."""
