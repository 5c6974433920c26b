"""Torch modules, one per file. They know nothing of scikit-learn."""

from skagile.networks._branched_vae import BranchedVAE, latent_divergence
from skagile.networks._cnn import CNNEncoder
from skagile.networks._contrastive import SupervisedContrastiveLoss
from skagile.networks._cth import CTHEncoder
from skagile.networks._denoiser import ResidualDenoiser
from skagile.networks._dual_head import DualHead
from skagile.networks._image_cnn import ImageCNNEncoder
from skagile.networks._linear import LinearEncoder
from skagile.networks._margin import AngularMarginHead, AngularMarginLoss
from skagile.networks._mcsharry import McSharryResidual, mcsharry_slope
from skagile.networks._mlp import MLPEncoder
from skagile.networks._neighbour import SoftNearestNeighbour
from skagile.networks._noise_policy import SegmentNoisePolicy
from skagile.networks._noisy_unet import NoisyUNet
from skagile.networks._siamese import PairLoss, SiameseNetwork
from skagile.networks._strided_classifier import StridedClassifier
from skagile.networks._template import TemplateMatcher
from skagile.networks._unet import UNet
from skagile.networks._vae import ConditionalVAE, EvidenceLoss
from skagile.networks._vit import PatchTransformer

__all__ = [
    "AngularMarginHead",
    "AngularMarginLoss",
    "BranchedVAE",
    "CNNEncoder",
    "CTHEncoder",
    "ConditionalVAE",
    "DualHead",
    "EvidenceLoss",
    "ImageCNNEncoder",
    "LinearEncoder",
    "MLPEncoder",
    "McSharryResidual",
    "NoisyUNet",
    "PairLoss",
    "PatchTransformer",
    "ResidualDenoiser",
    "SegmentNoisePolicy",
    "SiameseNetwork",
    "SoftNearestNeighbour",
    "StridedClassifier",
    "SupervisedContrastiveLoss",
    "TemplateMatcher",
    "UNet",
    "latent_divergence",
    "mcsharry_slope",
]
