"""The one error tree. Who is to read an error decides its class.

* The model can mend it: `ToolCallError`, `ActionRejected`, `ActionVoid`. They become the next result that the model
  reads.
* The operator must act: `ConfigError`, `MediaError`, `DeviceLost`, `EndpointLost`, `JobLost`, `CheckpointError`,
  `RecordError`.
  The command line prints them as one red line and exits with status 2.
* A developer's mistake is an `assert` or a plain `ValueError` with a traceback.
"""


class AgentError(Exception):
    """Base of every error that this package raises on purpose."""


class ToolCallError(AgentError):
    """The model's reply is not a valid function call; the text says what was wrong and what is expected."""


class ActionRejected(AgentError):
    """The call is valid, but the device cannot or may not do it now; nothing was sent."""


class ActionVoid(AgentError):
    """The action was sent, but not done as asked, or nobody knows whether it was; the step counts for nothing."""


class OperatorError(AgentError):
    """Something outside the program is wrong: the message says what, what was expected, and what to do."""


class ConfigError(OperatorError):
    """A flag, a file of settings or a combination of them cannot be used."""


class MediaError(OperatorError):
    """An image or video cannot be read, or has a shape the model cannot take."""


class DeviceLost(OperatorError):
    """The device does not answer, or is not in a state to be used."""


class EndpointLost(OperatorError):
    """A model that is asked over the network does not answer."""


class JobLost(OperatorError):
    """A process of a training job has ended, and with it the job."""


class CheckpointError(OperatorError):
    """A checkpoint is missing, incomplete, or does not fit the model."""


class RecordError(OperatorError):
    """A recorded trajectory is missing, damaged, or of an unknown version."""
