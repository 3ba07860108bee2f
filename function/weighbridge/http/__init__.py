"""The function over HTTP: routes, bodies, keys, problems."""
