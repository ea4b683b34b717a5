"""What is removed because of its age, and what never is."""
