"""What whoever runs a sandbox can ask of it meanwhile: counts, failures, latency, roles."""

from __future__ import annotations

from appstream_frames.emulator.accounts import Accounts, Role, ServiceError
from appstream_frames.emulator.service import AppStream


class Controls:
    """The part of a `Sandbox` that counts what it was asked and makes it fail."""

    _accounts: Accounts
    _service: AppStream

    @property
    def calls(self) -> int:
        """Number of DescribeImages requests that were answered, errors included."""
        return self._service.calls

    @property
    def asked(self) -> dict[str, int]:
        """Number of other requests by operation: AssumeRole, GetCallerIdentity, ListAccounts."""
        return dict(self._accounts.asked)

    def fail_next(self, times: int = 1, code: str = "ThrottlingException", status: int = 400) -> None:
        """Answer the next `times` DescribeImages requests with an AWS error.

        Parameters
        ----------
        times : int
            How many requests; failures asked for earlier come first.
        code : str
            AWS's error code, say ``RequestLimitExceededException`` or ``AccessDeniedException``.
        status : int
            The HTTP status, say 500 for ``InternalFailure`` or 503 for ``ServiceUnavailable``.

        Examples
        --------
        >>> import appstream_frames as asf
        >>> with asf.sandbox() as box:
        ...     box.fail_next()
        ...     _ = box.client().describe_images()  # boto3 tries again
        ...     box.calls
        2
        """
        self._service.faults.fail_next(times, ServiceError(code, f"{code}: the sandbox was told to fail", status))

    def fault(
        self,
        account: str | None = None,
        region: str | None = None,
        kind: str | None = None,
        *,
        times: int | None = None,
        after: int = 0,
    ) -> None:
        """Have the DescribeImages requests of a target go wrong, until told otherwise; a later fault takes an earlier's place.

        A region with no endpoint cannot be served: drain `nowhere`, or the profile ``sandbox-nowhere`` of `config`.

        Parameters
        ----------
        account, region : str, optional
            Which target; without them every account, every region. The narrower fault counts.
        kind : {"denied", "disabled", "throttled", "server_error", "cut", "slow", "reset"}, optional
            An error of the service; or half a body, a byte a second, half a body and a reset connection. None: it is well again.
        times : int, optional
            How many requests; default: for ever.
        after : int
            How many requests are answered well before.

        Raises
        ------
        RequestError
            There is no such kind.

        Examples
        --------
        >>> import appstream_frames as asf
        >>> with asf.sandbox() as box:
        ...     box.fault(region="us-east-1", kind="cut", times=1)
        ...     frames = asf.drain(box.client(region="us-east-1"))
        >>> int(frames.coverage["retries"].item())
        1
        """
        self._service.faults.set((account, region), kind, times, after)

    def latency(self, seconds: float, account: str | None = None, region: str | None = None) -> None:
        """Have every answer wait so many seconds, those of STS and Organizations too; of one target, or of all.

        Examples
        --------
        >>> import appstream_frames as asf
        >>> with asf.sandbox() as box:
        ...     box.latency(0.01)
        """
        self._service.faults.delay((account, region), seconds)

    def role(self, name: str, *, external_id: str | None = None, lands_in: str | None = None) -> None:
        """Give every account a role that all others may assume; ``AppStreamReader`` is there from the start.

        Parameters
        ----------
        name : str
            The role's name; or its ARN, for one account only.
        external_id : str, optional
            What whoever assumes it has to know.
        lands_in : str, optional
            The account that the keys are of, in place of the role's own: what should never be.

        Examples
        --------
        >>> import appstream_frames as asf
        >>> with asf.sandbox() as box:
        ...     box.role("Reader", external_id="2026")
        """
        self._accounts.roles[name] = Role(external_id, lands_in)

    def expire_after(self, seconds: float | None) -> None:
        """Let the keys of roles that are assumed from now on expire so soon; None: after the time asked for.

        Examples
        --------
        >>> import appstream_frames as asf
        >>> with asf.sandbox() as box:
        ...     box.expire_after(2.0)
        """
        self._accounts.life = seconds
