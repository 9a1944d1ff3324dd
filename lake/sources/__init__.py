"""Raw sources: files and their editions, the formats that read them, and their records in Spark."""

from lake.sources.files import FileEdition, discover

# A function under its module's name: this import has to bind it, before any `import lake.sources.read` would.
from lake.sources.read import read

__all__ = ["FileEdition", "discover", "read"]
