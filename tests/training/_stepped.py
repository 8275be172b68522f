"""Steps of an optimizer in which not every parameter has a gradient."""

import torch


def stepped(optimizer_of, given, resumed_at=None):
    """Return parameters and state after steps in which those of `given` have gradients, and whose rate changes."""
    stream = torch.Generator().manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(3, 2, generator=stream)) for _ in range(3)]
    groups = [{"params": parameters[:2]}, {"params": parameters[2:], "lr": 0.3, "weight_decay": 0.0}]
    optimizer = optimizer_of(groups)
    for index, present in enumerate(given):
        if index == resumed_at:
            state = optimizer.state_dict()
            optimizer = optimizer_of(groups)
            optimizer.load_state_dict(state)
        optimizer.param_groups[0]["lr"] = 0.1 / (index + 1)
        gradients = [torch.randn(3, 2, generator=stream) for _ in parameters]
        for number, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
            parameter.grad = gradient if number in present else None
        optimizer.step()
    return [parameter.detach() for parameter in parameters], optimizer.state_dict()["state"]
