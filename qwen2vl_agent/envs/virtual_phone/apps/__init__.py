"""The apps: one module each, a function from the state to the scene of the app's page in front."""
