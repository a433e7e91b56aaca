"""The chain on Kubernetes: manifests, and what is made of other files of the repository."""
