"""The Standard Webhooks vectors, which the TypeScript client passes as well."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from e2a.core.trust import webhooksignature

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "data" / "vectors.json").read_text("utf-8"))


class WebhookVectorTests(SynchronousTestCase):
    def test_webhook_signatures(self) -> None:
        """Each of the 18 cases is accepted or refused as marked."""
        self.assertEqual(len(VECTORS["webhook_signatures"]), 18)
        for vector in VECTORS["webhook_signatures"]:
            found = webhooksignature.verify(
                vector["headers"],
                vector["body"].encode(),
                vector["verifier_secrets"],
                datetime.fromisoformat(vector["verifier_clock"]).timestamp(),
            )
            self.assertEqual(found, vector["expect"], vector["id"])
