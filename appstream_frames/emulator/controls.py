"""Public controls of a running sandbox: counts, failures, latency, rows, roles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from appstream_frames.emulator.accounts import Accounts, Role, ServiceError
from appstream_frames.emulator.service import AppStream, Responder, listing
from appstream_frames.errors import RequestError


class Controls:
    """The part of a `Sandbox` that counts requests and decides what they get.

    Examples
    --------
    >>> import appstream_frames as asf
    >>> with asf.sandbox() as box:
    ...     box.fail_next()
    ...     _ = box.client().describe_images()  # boto3 tries again
    ...     box.calls
    2

    >>> with asf.sandbox() as box:
    ...     box.fault(region="us-east-1", kind="cut", times=1)
    ...     frames = asf.drain(box.client(region="us-east-1"))
    >>> int(frames.coverage["retries"].item())
    1

    >>> with asf.sandbox() as box:
    ...     box.page_size(2)
    ...     len(box.client().describe_fleets()["Fleets"])
    2

    >>> with asf.sandbox() as box:
    ...     box.set_rows("ListAssociatedFleets", ["payroll"], StackName="finance")
    ...     box.client().list_associated_fleets(StackName="finance")["Names"]
    ['payroll']

    >>> with asf.sandbox() as box:
    ...     box.respond_with(lambda operation, *_: {"Stacks": []} if operation == "DescribeStacks" else None)
    ...     box.client().describe_stacks()["Stacks"]
    []
    """

    accounts: list[str]
    regions: list[str]
    _accounts: Accounts
    _service: AppStream

    @property
    def calls(self) -> int:
        """Number of AppStream requests, errors included."""
        return self._service.requests.total()

    @property
    def requests(self) -> dict[str, int]:
        """Number of requests by operation, AppStream's with those that failed."""
        return dict(self._service.requests + self._accounts.requests)

    @property
    def asked(self) -> dict[str, int]:
        """Number of requests to other services by operation: AssumeRole, GetCallerIdentity, ListAccounts."""
        return dict(self._accounts.requests)

    def fail_next(self, times: int = 1, code: str = "ThrottlingException", status: int = 400) -> None:
        """Answer the next `times` AppStream requests with an AWS error; failures set earlier come first.

        Parameters
        ----------
        times : int
            How many requests.
        code : str
            AWS's error code, say ``RequestLimitExceededException`` or ``AccessDeniedException``.
        status : int
            The HTTP status, say 500 for ``InternalFailure`` or 503 for ``ServiceUnavailable``.
        """
        self._service.faults.fail_next(times, ServiceError(code, f"{code}: a failure set in the sandbox", status))

    def fault(
        self,
        account: str | None = None,
        region: str | None = None,
        kind: str | None = None,
        *,
        operation: str | None = None,
        times: int | None = None,
        after: int = 0,
    ) -> None:
        """Have the AppStream requests of a target go wrong until further notice; a later fault replaces an earlier one.

        A region with no endpoint cannot be served: drain `nowhere`, or the profile ``sandbox-nowhere`` of `config`.

        Parameters
        ----------
        account, region : str, optional
            Which target; without them every account, every region. The narrower fault counts.
        kind : {"denied", "disabled", "not_offered", "throttled", "server_error", "cut", "slow", "reset"}, optional
            An error of the service; or half a body, a byte a second, half a body and a reset connection. None: it is well again.
        operation : str, optional
            Only requests of this API operation, say ``DescribeFleets``; it counts before a fault of all operations.
        times : int, optional
            How many requests; default: for ever.
        after : int
            How many requests are answered well before.

        Raises
        ------
        RequestError
            There is no such kind, or the sandbox does not serve the operation.
        """
        if operation is not None:
            _check_listing(operation)
        self._service.faults.set((account, region, operation), kind, times, after)

    def latency(self, seconds: float, account: str | None = None, region: str | None = None) -> None:
        """Have every answer wait so many seconds, those of STS and Organizations too; of one target, or of all."""
        self._service.faults.delay(account, region, seconds)

    def page_size(self, rows: int | None) -> None:
        """Let no page have more rows than this, whatever a request says; None: 25, or the request's MaxResults."""
        if rows is not None and (type(rows) is not int or rows < 1):
            raise RequestError(f"rows={rows!r} must be a whole number from 1 on, or None.")
        self._service.page_size = rows

    def set_rows(
        self,
        operation: str,
        rows: Sequence[Any],
        *,
        account: str | None = None,
        region: str | None = None,
        **parameters: str,
    ) -> None:
        """Serve these rows of an operation in place of the catalogue's.

        Parameters
        ----------
        operation : str
            The API operation, say ``DescribeFleets``.
        rows : sequence
            Rows as the API sends them: dicts in its own names, times as seconds since 1970; strings for ``ListAssociatedFleets``.
        account, region : str, optional
            Only for this target; without them for every account, every region.
        **parameters
            The request that the rows belong to, for an operation that needs one, say ``StackName="finance"``. Rows set for
            another request of the operation stay.

        Raises
        ------
        RequestError
            The sandbox does not serve the operation.
        """
        _check_listing(operation)
        self._service.set_rows(operation, rows, account, region, parameters)

    def rows(
        self, operation: str = "DescribeImages", account: str | None = None, region: str | None = None
    ) -> list[Any]:
        """Return every row of an operation in a target as the API sends it, without a request; not to be changed.

        The target is by default that of the first account and the first region.
        """
        _check_listing(operation)
        return self._service.finished_rows(operation, account or self.accounts[0], region or self.regions[0])

    def respond_with(self, function: Responder | None) -> None:
        """Let a function answer AppStream's requests first, in the server's threads; None: the sandbox answers again.

        It is called with operation, account, region and the request's members, and returns the reply to send, or None to let
        the sandbox answer. It may wait; an exception ends the connection.
        """
        self._service.respond_with = function

    def revoke(self, account: str, revoked: bool = True) -> None:
        """Refuse an account's keys from now on, as AWS refuses deleted ones; with `revoked` False accept them again."""
        (self._accounts.revoked.add if revoked else self._accounts.revoked.discard)(account)

    def role(self, name: str, *, external_id: str | None = None, lands_in: str | None = None) -> None:
        """Give every account a role that all others may assume; ``AppStreamReader`` exists from the start.

        Parameters
        ----------
        name : str
            The role's name; or its ARN, for one account only.
        external_id : str, optional
            What whoever assumes it has to know.
        lands_in : str, optional
            The account that the keys are of, in place of the role's own: which AWS never does.
        """
        self._accounts.roles[name] = Role(external_id, lands_in)

    def expire_after(self, seconds: float | None) -> None:
        """Let the keys of roles that are assumed from now on expire so soon; None: after the time requested."""
        self._accounts.life = seconds


def _check_listing(operation: str) -> None:
    if listing(operation) is None:
        raise RequestError(
            f"operation={operation!r} is no operation of AppStream that lists rows, such as 'DescribeFleets'."
        )
