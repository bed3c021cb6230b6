"""What a run is: frozen plans, made of YAML files and a command line or in Python, of which every function takes its part."""
