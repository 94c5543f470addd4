"""Telling people and programs: the activity feed, and messages to the people of a workspace."""
