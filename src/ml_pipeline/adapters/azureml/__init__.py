"""Azure Machine Learning, through `azure-ai-ml`."""
