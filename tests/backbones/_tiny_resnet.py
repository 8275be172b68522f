"""A ResNet of one narrow block per layer."""

from torch import nn

from mtl_cli.backbones.resnet import ResNet


class TinyResNet(ResNet):
    """Torchvision's blocks with 4, 6, 8 and 10 channels."""

    def _built(self, channels: int) -> nn.Module:
        from torchvision.models.resnet import BasicBlock

        if channels not in self._network:
            network = nn.Module()
            network.conv1, network.bn1 = nn.Conv2d(channels, 4, 3, stride=2, padding=1), nn.GroupNorm(1, 4)
            network.relu, network.maxpool = nn.ReLU(), nn.MaxPool2d(3, 2, 1)
            width = 4
            for number, out in enumerate((4, 6, 8, 10), start=1):
                stride = 1 if number == 1 else 2
                down = None if number == 1 else nn.Conv2d(width, out, 1, stride=stride)
                block = BasicBlock(width, out, stride, down, norm_layer=lambda size: nn.GroupNorm(1, size))
                setattr(network, f"layer{number}", nn.Sequential(block))
                width = out
            self._network[channels] = network
        return self._network[channels]
