"""Activations, normalisations and initialisations by the names that YAML uses."""

from collections.abc import Callable, Iterable

from torch import Tensor, nn

from mtl_cli.errors import nearest

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
INITIALISATIONS: dict[str, Callable[[Tensor], object] | None] = {
    "default": None,
    "kaiming_uniform": lambda weight: nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
    "kaiming_normal": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "orthogonal": nn.init.orthogonal_,
}


NORMS = ("batch", "group", "none")


def check_names(activation: str = "relu", init: str = "default", norm: str = "none") -> None:
    """Check the names that YAML gives, before anything is built.

    Raises:
        ValueError: a name is not known.
    """
    check_name("activation", activation, ACTIVATIONS)
    check_name("initialisation", init, INITIALISATIONS)
    check_name("normalisation", norm, NORMS)


def check_name(what: str, name: str, known: Iterable[str]) -> None:
    """Check one name.

    Raises:
        ValueError: the name is not known.
    """
    names = list(known)
    if name not in names:
        raise ValueError(f"There is no {what} '{name}'.{nearest(name, names)} Known: {', '.join(names)}.")


def activation(name: str) -> nn.Module:
    """Return a fresh activation module.

    Raises:
        ValueError: there is no activation of that name.
    """
    check_name("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()


def initialise(module: nn.Module, name: str) -> None:
    """Initialise the weight matrices and filters in place and set their biases to 0; "default" leaves torch's own.

    Raises:
        ValueError: there is no initialisation of that name.
    """
    check_name("initialisation", name, INITIALISATIONS)
    scheme = INITIALISATIONS[name]
    if scheme is None:
        return
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.Conv1d):
            scheme(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def norm2d(name: str, channels: int) -> nn.Module:
    """Return a normalisation for maps: "batch", "group" (8 groups where they divide the channels) or "none".

    Raises:
        ValueError: there is no normalisation of that name.
    """
    check_name("normalisation", name, NORMS)
    if name == "batch":
        return nn.BatchNorm2d(channels)
    if name == "group":
        return nn.GroupNorm(8 if channels % 8 == 0 else 1, channels)
    return nn.Identity()


def checked_dropout(dropout: float) -> float:
    """Return the dropout probability.

    Raises:
        ValueError: it is outside [0, 1).
    """
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"dropout is {dropout}; it is a probability in [0, 1).")
    return dropout
