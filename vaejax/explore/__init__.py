"""A page that explores a trained run in a browser, and its server."""
