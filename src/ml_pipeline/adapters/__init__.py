"""One folder a vendor; each class speaks one port."""
