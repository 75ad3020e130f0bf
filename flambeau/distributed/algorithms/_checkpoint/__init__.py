"""Modules that keep less for their backward pass."""
