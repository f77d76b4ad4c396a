"""Defines the settings of the service: flags, environment, file, defaults, in this order.

`TUNEKIT_SERVE_PORT=9000` in the environment and `port: 9000` in a YAML file mean the same as
`--port 9000`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from tunekit.errors import InvalidArgument, did_you_mean
from tunekit.service.access.rates import Rate, RateSettings

PREFIX = "TUNEKIT_SERVE_"
"""Of the environment variables."""


_RATES = RateSettings()
PerSecond = Annotated[float, Field(gt=0, le=1e9)]
Burst = Annotated[float, Field(ge=1, le=1e9)]


class ServiceSettings(BaseSettings):
    """Holds the settings of one process of the service.

    Attributes:
        storage: URL of the database with all studies and accounts; `None` for $TUNEKIT_URL.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        accounts: whether callers log in; without accounts only a loopback address is served.
        migrate: whether to upgrade the tables of a database of an older version at the start.
        root_path: path under which a proxy publishes the service, such as `/tunekit`.
        allowed_hosts: names that requests may give the service, `*.example.com` for all below;
            by default any, or on a loopback address its own.
        artifacts: folder for the files of trials, which all replicas see, or a URI such as
            `s3://bucket/artifacts`; by default a folder beside an SQLite file.
        tls_cert: file with the certificate to serve HTTPS; with `tls_key`.
        tls_key: file with its private key.
        oidc_issuer: URL of an OpenID Connect provider at which users may log in; with
            `oidc_client_id`, and `oidc_client_secret` unless the client there is public.
        oidc_client_id: of this service at the provider.
        oidc_client_secret: of this service at the provider.
        oidc_create_users: whether whoever can log in there gets an account here.
        dashboard: whether to publish the dashboard below `/dashboard`.
        dashboard_secret: signs the cookies of the pages; give all replicas the same one, and
            have the load balancer send a browser to one replica.
        log_level: least level of the log lines.
        shutdown_s: seconds for which requests may finish after SIGTERM.
        rate_caller, rate_address: requests a second of one account or machine token, and of one
            network address, that this process answers in the long run.
        rate_login: the same of attempts to log in, of one address.
        burst_caller, burst_address, burst_login: how many of them may come at once.
        suggest_processes: number of processes that propose params for `:ask` and judge reports.
        suggest_deadline_s: seconds after which a Sobol point replaces that of a slow sampler.
        suggest_queue: number of `:ask` requests that may wait; further ones are answered 503.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", hide_input_in_errors=True)

    storage: SecretStr | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    accounts: bool = True
    migrate: bool = False
    root_path: str = Field(default="", pattern=r"^(/[^/?#]+)*$")
    allowed_hosts: tuple[str, ...] = ()
    artifacts: str = ""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr = SecretStr("")
    oidc_create_users: bool = False
    dashboard: bool = False
    dashboard_secret: SecretStr = SecretStr("")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    shutdown_s: float = Field(default=30.0, gt=0, le=3600)
    rate_caller: PerSecond = _RATES.caller.per_s
    rate_address: PerSecond = _RATES.address.per_s
    rate_login: PerSecond = _RATES.login.per_s
    burst_caller: Burst = _RATES.caller.burst
    burst_address: Burst = _RATES.address.burst
    burst_login: Burst = _RATES.login.burst
    suggest_processes: int = Field(default=2, ge=1, le=64)
    suggest_deadline_s: float = Field(default=10.0, gt=0, le=3600)
    suggest_queue: int = Field(default=256, ge=1)

    def rates(self) -> RateSettings:
        """Return the rates of requests."""
        return RateSettings(
            Rate(self.rate_caller, self.burst_caller),
            Rate(self.rate_address, self.burst_address),
            Rate(self.rate_login, self.burst_login),
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in order of precedence: flags, environment, file."""
        assert isinstance(init_settings, InitSettingsSource)
        given = dict(init_settings.init_kwargs)
        file = YamlConfigSettingsSource(settings_cls, yaml_file=given.pop("file", None))
        return InitSettingsSource(settings_cls, given), env_settings, file


def read_settings(file: Path | None, flags: Mapping[str, Any]) -> ServiceSettings:
    """Return the settings from a file, the environment and flags; flags of `None` are not given.

    Raises:
        InvalidArgument: the file cannot be read, or a setting is unknown or out of range; the
            message names the setting, never its value.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if file is not None and not file.is_file():
        raise InvalidArgument(
            f"{file} is not a file; give the YAML file of the service's settings."
        )
    try:
        return ServiceSettings(**{**given, "file": file})
    except ValidationError as error:
        raise _explained(error) from None
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        raise InvalidArgument(f"{file} holds no settings ({_first_line(error)}).") from None


def _explained(error: ValidationError) -> InvalidArgument:
    first = error.errors(include_input=False, include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        hint = did_you_mean(name, ServiceSettings.model_fields)
        return InvalidArgument(
            f"unknown setting {name!r} of the service{hint}; the settings are "
            f"{', '.join(ServiceSettings.model_fields)}."
        )
    return InvalidArgument(
        f"setting {name!r} of the service (flag, {PREFIX}{name.upper()} or file): {first['msg']}."
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
