"""What a verb raises when the caller is wrong. Only `api/errors.py` knows how these look over HTTP."""


class BillingError(Exception):
    """A request that cannot be carried out; nothing has changed.

    `message` is written for the caller; `code` is one of Stripe's error codes (or None, where Stripe has
    none); `param` names the offending parameter in bracket notation, e.g. `items[0][price]`. `should_retry`
    tells the caller's client whether the same request may succeed later; None leaves it to the client.
    """

    code: str | None = None
    should_retry: bool | None = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code
        if should_retry is not None:
            self.should_retry = should_retry


class InvalidRequest(BillingError):
    """The parameters contradict each other, the rules, or the state of the object."""


class ResourceMissing(BillingError):
    """An object named in a parameter does not exist."""

    code = "resource_missing"

    def __init__(self, kind: str, id: str, *, param: str | None = None) -> None:
        super().__init__(f"No such {kind}: '{id}'", param=param)


class NotFound(ResourceMissing):
    """The object named in the address does not exist."""


class ParametersExclusive(BillingError):
    """Two parameters were given of which only one may be."""

    code = "parameters_exclusive"


class ParameterMissing(BillingError):
    """A parameter that this call needs was not given."""

    code = "parameter_missing"

    def __init__(self, param: str, message: str | None = None) -> None:
        super().__init__(message or f"Missing required param: {param}.", param=param)


class NotSupported(BillingError):
    """Stripe has this; Countinghouse refuses it rather than ignore it."""

    code = "parameter_unknown"
