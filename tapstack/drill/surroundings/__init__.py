"""What a script's commands find around them: programs and files that act on the simulated stack."""
