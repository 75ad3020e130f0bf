"""Data sets of images, under torchvision's names."""

from __future__ import annotations

from flambeau.vision.datasets._optical_flow import HD1K, FlyingChairs, FlyingThings3D, KittiFlow, Sintel
from flambeau.vision.datasets._stereo_matching import (
    CarlaStereo,
    CREStereo,
    ETH3DStereo,
    FallingThingsStereo,
    InStereo2k,
    Kitti2012Stereo,
    Kitti2015Stereo,
    Middlebury2014Stereo,
    SceneFlowStereo,
    SintelStereo,
)
from flambeau.vision.datasets._wrapped import wrap_dataset_for_transforms_v2
from flambeau.vision.datasets.caltech import Caltech101, Caltech256
from flambeau.vision.datasets.celeba import CelebA
from flambeau.vision.datasets.cifar import CIFAR10, CIFAR100
from flambeau.vision.datasets.cityscapes import Cityscapes
from flambeau.vision.datasets.clevr import CLEVRClassification
from flambeau.vision.datasets.coco import CocoCaptions, CocoDetection
from flambeau.vision.datasets.country211 import Country211
from flambeau.vision.datasets.dtd import DTD
from flambeau.vision.datasets.eurosat import EuroSAT
from flambeau.vision.datasets.fakedata import FakeData
from flambeau.vision.datasets.fer2013 import FER2013
from flambeau.vision.datasets.fgvc_aircraft import FGVCAircraft
from flambeau.vision.datasets.flickr import Flickr8k, Flickr30k
from flambeau.vision.datasets.flowers102 import Flowers102
from flambeau.vision.datasets.folder import DatasetFolder, ImageFolder
from flambeau.vision.datasets.food101 import Food101
from flambeau.vision.datasets.gtsrb import GTSRB
from flambeau.vision.datasets.imagenet import ImageNet
from flambeau.vision.datasets.imagenette import Imagenette
from flambeau.vision.datasets.inaturalist import INaturalist
from flambeau.vision.datasets.kitti import Kitti
from flambeau.vision.datasets.lfw import LFWPairs, LFWPeople
from flambeau.vision.datasets.lsun import LSUN, LSUNClass
from flambeau.vision.datasets.mnist import EMNIST, KMNIST, MNIST, QMNIST, FashionMNIST
from flambeau.vision.datasets.moving_mnist import MovingMNIST
from flambeau.vision.datasets.omniglot import Omniglot
from flambeau.vision.datasets.optdigits import Optdigits
from flambeau.vision.datasets.oxford_iiit_pet import OxfordIIITPet
from flambeau.vision.datasets.pcam import PCAM
from flambeau.vision.datasets.phototour import PhotoTour
from flambeau.vision.datasets.places365 import Places365
from flambeau.vision.datasets.rendered_sst2 import RenderedSST2
from flambeau.vision.datasets.sbd import SBDataset
from flambeau.vision.datasets.sbu import SBU
from flambeau.vision.datasets.semeion import SEMEION
from flambeau.vision.datasets.stanford_cars import StanfordCars
from flambeau.vision.datasets.stl10 import STL10
from flambeau.vision.datasets.sun397 import SUN397
from flambeau.vision.datasets.svhn import SVHN
from flambeau.vision.datasets.usps import USPS
from flambeau.vision.datasets.videos import HMDB51, UCF101, Kinetics
from flambeau.vision.datasets.vision import StandardTransform, VisionDataset
from flambeau.vision.datasets.voc import VOCDetection, VOCSegmentation
from flambeau.vision.datasets.widerface import WIDERFace

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "DTD",
    "EMNIST",
    "FER2013",
    "GTSRB",
    "HD1K",
    "HMDB51",
    "KMNIST",
    "LSUN",
    "MNIST",
    "PCAM",
    "QMNIST",
    "SBU",
    "SEMEION",
    "STL10",
    "SUN397",
    "SVHN",
    "UCF101",
    "USPS",
    "CLEVRClassification",
    "CREStereo",
    "Caltech101",
    "Caltech256",
    "CarlaStereo",
    "CelebA",
    "Cityscapes",
    "CocoCaptions",
    "CocoDetection",
    "Country211",
    "DatasetFolder",
    "ETH3DStereo",
    "EuroSAT",
    "FGVCAircraft",
    "FakeData",
    "FallingThingsStereo",
    "FashionMNIST",
    "Flickr8k",
    "Flickr30k",
    "Flowers102",
    "FlyingChairs",
    "FlyingThings3D",
    "Food101",
    "INaturalist",
    "ImageFolder",
    "ImageNet",
    "Imagenette",
    "InStereo2k",
    "Kinetics",
    "Kitti",
    "Kitti2012Stereo",
    "Kitti2015Stereo",
    "KittiFlow",
    "LFWPairs",
    "LFWPeople",
    "LSUNClass",
    "Middlebury2014Stereo",
    "MovingMNIST",
    "Omniglot",
    "Optdigits",
    "OxfordIIITPet",
    "PhotoTour",
    "Places365",
    "RenderedSST2",
    "SBDataset",
    "SceneFlowStereo",
    "Sintel",
    "SintelStereo",
    "StandardTransform",
    "StanfordCars",
    "VOCDetection",
    "VOCSegmentation",
    "VisionDataset",
    "WIDERFace",
    "wrap_dataset_for_transforms_v2",
]
