"""Certificates for a test: of two CAs, for the right names and the wrong ones, in time and late."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

_LATE = datetime.now(UTC) - timedelta(days=1)


@dataclass(frozen=True)
class Certs:
    """Files, each with a certificate and its key, and those with the CAs."""

    directory: Path

    def __getattr__(self, name: str) -> str:
        path = self.directory / f"{name}.pem"
        if not path.exists():
            raise AttributeError(name)
        return str(path)


def make(directory: Path) -> Certs:
    """``ca``; ``server`` (localhost and the loopback addresses), ``client``, ``elsewhere`` (of
    another name), ``late_server``, ``late_client``; ``other_ca``, ``strange_server``,
    ``strange_client``."""
    ours, others = trustme.CA(), trustme.CA()
    here = ("localhost", "127.0.0.1", "::1")
    made = {
        "server": ours.issue_cert(*here),
        "second": ours.issue_cert(*here),
        "client": ours.issue_cert("alice@example.com", "alice.example.com", common_name="alice"),
        "elsewhere": ours.issue_cert("elsewhere.example.com"),
        "late_server": ours.issue_cert(*here, not_after=_LATE),
        "late_client": ours.issue_cert("alice@example.com", not_after=_LATE),
        "strange_server": others.issue_cert(*here),
        "strange_client": others.issue_cert("alice@example.com"),
    }
    for name, cert in made.items():
        cert.private_key_and_cert_chain_pem.write_to_path(str(directory / f"{name}.pem"))
    ours.cert_pem.write_to_path(str(directory / "ca.pem"))
    others.cert_pem.write_to_path(str(directory / "other_ca.pem"))
    return Certs(directory)
