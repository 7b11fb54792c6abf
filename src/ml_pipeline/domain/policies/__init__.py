"""The numbers and commands a project decides by: one frozen record a section of the settings."""
