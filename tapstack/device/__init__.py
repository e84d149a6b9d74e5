"""What frames come from and go to, and the middleware that wraps it and is a device itself."""
