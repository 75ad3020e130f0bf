"""Data sets of images, under torchvision's names."""

from __future__ import annotations

from flambeau.vision.datasets.cifar import CIFAR10, CIFAR100
from flambeau.vision.datasets.fakedata import FakeData
from flambeau.vision.datasets.folder import DatasetFolder, ImageFolder
from flambeau.vision.datasets.imagenet import ImageNet
from flambeau.vision.datasets.mnist import EMNIST, KMNIST, MNIST, FashionMNIST
from flambeau.vision.datasets.optdigits import Optdigits
from flambeau.vision.datasets.stl10 import STL10
from flambeau.vision.datasets.svhn import SVHN
from flambeau.vision.datasets.vision import StandardTransform, VisionDataset

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "EMNIST",
    "KMNIST",
    "MNIST",
    "STL10",
    "SVHN",
    "DatasetFolder",
    "FakeData",
    "FashionMNIST",
    "ImageFolder",
    "ImageNet",
    "Optdigits",
    "StandardTransform",
    "VisionDataset",
]
