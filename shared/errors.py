"""Every error the product raises on purpose.

PlatformError
├── InvalidInput        the caller's fault; shown to them; never retried
│   └── MissingModel    a needed model file or library is absent
└── Unavailable         a resource is away for now; retried with back-off

Anything else that escapes a stage is a bug.
"""


class PlatformError(Exception):
    """Base of the tree: a stable ``code`` for programs, a message for people.

    The message says what was found, what was expected and what to do.
    """

    retryable = False

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class InvalidInput(PlatformError):
    """The input cannot be used as it is; trying again will not help."""


class MissingModel(InvalidInput):
    """A model file or an optional library that this request needs is not there."""


class Unavailable(PlatformError):
    """Something needed is out of reach for now; trying again may help."""

    retryable = True
