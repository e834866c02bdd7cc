"""The nets for 3x224x224 images as torchvision defines them, as short as they go; 1000 classes."""

import torch
from torch import nn
from torch.nn import functional as F


class AlexNet(nn.Module):
    """61,100,840 parameters."""

    shape = (3, 224, 224)

    def __init__(self):
        super().__init__()
        conv, relu, pool = nn.Conv2d, lambda: nn.ReLU(inplace=True), lambda: nn.MaxPool2d(3, 2)
        self.features = nn.Sequential(
            *(conv(3, 64, 11, 4, 2), relu(), pool(), conv(64, 192, 5, padding=2), relu(), pool()),
            *(conv(192, 384, 3, padding=1), relu(), conv(384, 256, 3, padding=1), relu()),
            *(conv(256, 256, 3, padding=1), relu(), pool()),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.classifier = nn.Sequential(
            *(nn.Dropout(), nn.Linear(256 * 36, 4096), relu(), nn.Dropout(), nn.Linear(4096, 4096), relu()),
            nn.Linear(4096, 1000),
        )

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class VGG16(nn.Module):
    """138,357,544 parameters."""

    shape = (3, 224, 224)

    def __init__(self):
        super().__init__()
        layers, channels = [], 3
        for stage in ([64] * 2, [128] * 2, [256] * 3, [512] * 3, [512] * 3):
            for filters in stage:
                layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(inplace=True)]
                channels = filters
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            *(nn.Linear(512 * 49, 4096), nn.ReLU(inplace=True), nn.Dropout()),
            *(nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, 1000)),
        )

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class Block(nn.Module):
    """Convolutions (channels, kernel, stride) with norms, rectifiers between them, and a shortcut."""

    def __init__(self, channels, *convolutions):
        super().__init__()
        self.names, stride = [], 1
        here = channels
        for i, (filters, kernel, step) in enumerate(convolutions, 1):
            setattr(self, f"conv{i}", nn.Conv2d(here, filters, kernel, step, kernel // 2, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(filters))
            here, stride = filters, stride * step
        self.depth, self.downsample = len(convolutions), None
        if stride > 1 or here != channels:
            self.downsample = nn.Sequential(nn.Conv2d(channels, here, 1, stride, bias=False), nn.BatchNorm2d(here))

    def forward(self, x):
        y = x
        for i in range(1, self.depth + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            if i < self.depth:
                y = F.relu(y, inplace=True)
        y += x if self.downsample is None else self.downsample(x)
        return F.relu(y, inplace=True)


class ResNet(nn.Module):
    shape = (3, 224, 224)

    def __init__(self, blocks, convolutions, expansion):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        channels = 64
        for stage, count in enumerate(blocks):
            layers = []
            for i in range(count):
                layers.append(Block(channels, *convolutions(64 << stage, 2 if stage and not i else 1)))
                channels = (64 << stage) * expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.fc = nn.Linear(channels, 1000)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x)), inplace=True), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class ResNet18(ResNet):
    """11,689,512 parameters."""

    def __init__(self):
        super().__init__([2, 2, 2, 2], lambda width, stride: [(width, 3, stride), (width, 3, 1)], 1)


class ResNet50(ResNet):
    """25,557,032 parameters."""

    def __init__(self):
        bottleneck = lambda width, stride: [(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)]  # noqa: E731
        super().__init__([3, 4, 6, 3], bottleneck, 4)


class DenseLayer(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(channels), nn.Conv2d(channels, 128, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(128), nn.Conv2d(128, 32, 3, padding=1, bias=False)

    def forward(self, parts):
        x = self.conv1(F.relu(self.norm1(torch.cat(parts, 1)), inplace=True))
        return self.conv2(F.relu(self.norm2(x), inplace=True))


class DenseNet121(nn.Module):
    """7,978,856 parameters."""

    shape = (3, 224, 224)

    def __init__(self):
        super().__init__()
        self.conv0, self.norm0 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.blocks, self.transitions, channels = nn.ModuleList(), nn.ModuleList(), 64
        for count in (6, 12, 24, 16):
            self.blocks.append(nn.ModuleList(DenseLayer(channels + 32 * i) for i in range(count)))
            channels += 32 * count
            if count != 16:
                half = nn.Conv2d(channels, channels // 2, 1, bias=False)
                self.transitions.append(nn.ModuleList([nn.BatchNorm2d(channels), half]))
                channels //= 2
        self.norm5, self.classifier = nn.BatchNorm2d(channels), nn.Linear(channels, 1000)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm0(self.conv0(x)), inplace=True), 3, 2, 1)
        for i, block in enumerate(self.blocks):
            parts = [x]
            for layer in block:
                parts.append(layer(parts))
            x = torch.cat(parts, 1)
            if i < 3:
                norm, half = self.transitions[i]
                x = F.avg_pool2d(half(F.relu(norm(x), inplace=True)), 2)
        x = F.relu(self.norm5(x), inplace=True)
        return self.classifier(F.adaptive_avg_pool2d(x, 1).flatten(1))
