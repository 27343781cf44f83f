"""Packages, deploys and destroys an environment. `make package`, `make deploy`, `make status` and `make destroy` run it."""
