"""What each partner may see, its feed and its ways out, and the partner board."""
