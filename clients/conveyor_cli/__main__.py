"""`python -m conveyor_cli`: the `conveyor` command of this very installation."""

import sys

from conveyor_cli.main import main

sys.exit(main())
