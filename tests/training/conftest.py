import sys
from pathlib import Path

# `synthetic` serves the tests here and the worker processes that some of them start.
sys.path.insert(0, str(Path(__file__).parent))
