"""What can go wrong with the local stack; the text of each is one line for the person at the keyboard."""


class StackError(Exception):
    """The stack cannot start or go on. Trying again helps only once what the text names is mended."""


class FolderInUse(StackError):
    """Another stack runs on this data folder."""


class PortTaken(StackError):
    """Something else listens on a port that the stack needs."""
