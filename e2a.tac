"""``twistd -y e2a.tac``: the daemon, configured by ``E2A_*`` and ``./config.yaml`` or ``/etc/e2a/config.yaml``."""

from twisted.application.service import Application

from e2a.service.tap import Options, makeService

options = Options()
options.parseOptions([])
application = Application("e2a")
makeService(options).setServiceParent(application)
