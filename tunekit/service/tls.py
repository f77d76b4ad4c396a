"""Checks the certificate and key of the service before it listens."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from tunekit.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Files in PEM form: the certificate with those that signed it, and its private key."""

    chain: Path
    key: Path


def certificate(chain: Path | None, key: Path | None) -> CertificateFiles | None:
    """Return the certificate in two files, `None` if neither is given.

    Raises:
        InvalidArgument: only one is given, one cannot be read, or they do not belong together.
    """
    if chain is None and key is None:
        return None
    if chain is None or key is None:
        raise InvalidArgument("TLS needs both files: give --tls-cert FILE and --tls-key FILE.")
    for file in (chain, key):
        if not file.is_file():
            raise InvalidArgument(f"{file} is not a file; give a certificate and its key as PEM.")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key, _no_password)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        reason = getattr(error, "reason", None) or str(error)
        raise InvalidArgument(
            f"{chain} and {key} are not a certificate and its key ({reason}); give the PEM files "
            "of one certificate, the key without a password."
        ) from None
    return CertificateFiles(chain, key)


def _no_password() -> str:
    raise ValueError("the key has a password")
