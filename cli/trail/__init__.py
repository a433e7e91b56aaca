"""What all commands that check the trail share: the trail over HTTP, and what a checker remembers and keeps."""

ALARMED = 3
"""The exit code where history was rewritten."""
