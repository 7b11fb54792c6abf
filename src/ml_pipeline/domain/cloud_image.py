"""A project's image for the clouds: what stands where in it, and how it is started.

The recipe that builds it, the adapters that start it and the program in it read the same words
here; docs/containers.md has the whole.
"""

#: The pipeline's own environment, in this image and in those of stages.
HOME = "/opt/ml-pipeline"
#: By its path: the image's PATH finds another Python, which has nothing of the pipeline.
PYTHON = f"{HOME}/bin/python"
#: The image's entry point; `train` or `serve` follows.
ENTRY = (PYTHON, "-m", "ml_pipeline.entry")
#: The project's code, and the environment its training runs in.
PROJECT, PROJECT_ENV = "/opt/project", "/opt/project-env"
