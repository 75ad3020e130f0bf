"""Data that ships with flambeau; ATTRIBUTION.txt says where it is from."""
