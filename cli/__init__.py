"""The command line of Hulpketen."""
