"""What can be wrong with a contract; each error is one line for its author.

    ContractError
    ├── SourceError        Lua source outside the language that contracts may use
    ├── ManifestError      a manifest that is malformed or contradicts itself
    ├── ValueFormatError   a value that cannot cross between a contract and the chain
    └── FolderError        a contract folder or library entry that cannot be read

A worker that fails is not one of them: that is `ledger.errors.ExecutorError`.
"""


class ContractError(Exception):
    """Base of everything that is the contract's or its caller's fault."""


class SourceError(ContractError):
    """Lua source that is refused; `line` counts from 1."""

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(f"line {line}: {detail}")
        self.line = line
        self.detail = detail


class ManifestError(ContractError):
    """A manifest that is malformed; the message names the key.

    `hint` is for its author only: it may come from a parser whose wording differs between
    versions, so it never enters what nodes must agree on.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ValueFormatError(ContractError):
    """A value of a type, size or depth that contracts do not exchange with the chain."""


class FolderError(ContractError):
    """A contract folder that cannot be read, or a library contract that does not exist."""
