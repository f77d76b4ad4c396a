"""The service over HTTPS, with a certificate of its own."""

import datetime
import ipaddress
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tunekit.errors import InvalidArgument, StorageUnreachable
from tunekit.records import ObjectiveSpec, StudySpec
from tunekit.service.app import Service
from tunekit.service.tls import certificate
from tunekit.storages.http.connection import Connection
from tunekit.storages.sql.sqlite import SQLiteDatabase
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_storage
from tunekit.testing.service import running_service


@pytest.fixture
def storage(tmp_path: Path) -> SQLStorage:
    return SQLStorage(SQLiteDatabase(tmp_path / "s.db"))


def made(folder: Path, name: str = "own", password: bytes | None = None) -> tuple[Path, Path]:
    """Return the files of a new certificate for 127.0.0.1 that signs itself, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, file = folder / f"{name}.crt", folder / f"{name}.key"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    hidden = (
        serialization.NoEncryption()
        if password is None
        else serialization.BestAvailableEncryption(password)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden
    )
    file.write_bytes(private)
    return chain, file


def test_a_client_that_knows_the_certificate_uses_the_service_over_tls(
    storage: SQLStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, key = made(tmp_path)
    service = Service(storage)
    with running_service(service, certificate=certificate(chain, key)) as url:
        assert url.startswith("https://")
        with pytest.raises(StorageUnreachable, match="certificate"):
            Connection(url, outage_s=0.0).request("GET", "/caller")
        monkeypatch.setenv("SSL_CERT_FILE", str(chain))
        storage = open_storage(f"{url}/vision")
        spec = StudySpec(name="digits", objectives=(ObjectiveSpec("error", "minimize"),))
        assert storage.create_study(spec).spec.name == "digits"
        connection = Connection(url)
        answer = connection.request("GET", "/caller")
        assert (
            "max-age"
            in {k.lower(): v for k, v in answer.headers.items()}["strict-transport-security"]
        )
        connection.close()
        storage.close()


def test_files_that_are_no_certificate_with_its_key_are_refused_at_the_start(
    tmp_path: Path,
) -> None:
    chain, key = made(tmp_path)
    other = made(tmp_path, "other")[1]
    secret = made(tmp_path, "secret", b"password")
    assert certificate(None, None) is None
    with pytest.raises(InvalidArgument, match="both files"):
        certificate(chain, None)
    with pytest.raises(InvalidArgument, match="is not a file"):
        certificate(chain, tmp_path / "missing")
    with pytest.raises(InvalidArgument, match="not a certificate and its key"):
        certificate(chain, other)
    with pytest.raises(InvalidArgument, match="the key has a password"):
        certificate(*secret)
    with pytest.raises(InvalidArgument, match="not a certificate and its key"):
        certificate(key, key)


def test_the_command_serves_https_under_a_path_with_the_files_of_its_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, key = made(tmp_path)
    flags = ["--storage", f"sqlite:///{tmp_path}/s.db", "--no-accounts", "--port", "0"]
    flags += ["--tls-cert", str(chain), "--tls-key", str(key), "--root-path", "/tune"]
    command = [sys.executable, "-m", "tunekit", "serve", *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            line = next(text for text in process.stderr if "https://" in text)
            url = line[line.index("https://") :].split()[0]
            monkeypatch.setenv("SSL_CERT_FILE", str(chain))
            assert url.endswith("/tune")  # the address is the published one
            storage = open_storage(f"{url}/vision")
            assert storage.list_studies() == []
            storage.close()
        finally:
            process.kill()


def test_the_pages_trust_the_certificate_of_their_own_service_and_no_other(
    storage: SQLStorage, tmp_path: Path
) -> None:
    own, other = made(tmp_path), made(tmp_path, "other")
    with running_service(Service(storage), certificate=certificate(*own)) as url:
        # It is for a public name, and the pages reach the service on this machine.
        named = url.replace("127.0.0.1", "localhost")
        trusting = Connection(named, outage_s=0.0, certificate=str(own[0]))
        assert trusting.request("GET", "/caller").doc["project"] == "default"
        trusting.close()
        for stranger in (str(other[0]), None):
            connection = Connection(named, outage_s=0.0, certificate=stranger)
            with pytest.raises(StorageUnreachable):
                connection.request("GET", "/caller")
            connection.close()
