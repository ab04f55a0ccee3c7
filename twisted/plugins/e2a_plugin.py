"""Makes ``twistd e2a`` and ``twist e2a`` known."""

from twisted.application.service import ServiceMaker

e2a = ServiceMaker("e2a", "e2a.service.tap", "An authenticated e-mail gateway for AI agents.", "e2a")
