//! What a file of weights is, if it is no safetensors file: told by its first bytes, whatever its name ends in.

use super::CheckpointError;
use super::Error;
use std::fmt;
use std::io::Read;
use std::path::Path;

/// Enough for the name of the first file in a zip archive.
const HEAD: u64 = 4096;

/// A format that is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// The place of a file in a Git repository; with the size of the file in bytes, if it is said.
    GitLfs(Option<u64>),
    /// What `torch.save` writes, now (a pickle in a zip archive) or before (a pickle).
    PyTorch,
    /// HDF5, as Keras writes it (`.h5`), or Keras's own archive of that (`.keras`).
    Keras,
    /// An exported graph.
    Onnx,
    /// A language model, as llama.cpp reads it.
    Gguf,
    /// Arrays of NumPy.
    Npz,
    /// An exported graph of TensorFlow Lite.
    TfLite,
    /// The list of the files that weights are spread over.
    Index,
    /// What a server answers in the place of a file.
    WebPage,
    /// Any other zip archive.
    Zip,
    /// Nothing at all.
    Empty,
}

/// Whether a file may be a safetensors file.
///
/// # Errors
/// [`CheckpointError::OtherFormat`]; [`Error::Io`] if it cannot be read.
pub(crate) fn check_format(path: &Path) -> Result<(), Error> {
    let mut head = Vec::new();
    let file = frugal_data::input::open(path).map_err(Error::io("read", path))?;
    file.take(HEAD).read_to_end(&mut head).map_err(Error::io("read", path))?;
    match FileFormat::of(&head) {
        Some(format) => Err(CheckpointError::OtherFormat { path: path.to_path_buf(), format }.into()),
        None => Ok(()),
    }
}

impl FileFormat {
    /// The format of a file with these first bytes; none if it may be a safetensors file, or is not known.
    pub fn of(head: &[u8]) -> Option<Self> {
        // A length in eight bytes, and JSON.
        if head.get(8) == Some(&b'{') && head.get(7) == Some(&0) {
            return None;
        }
        let has = |text: &str| head.windows(text.len()).any(|bytes| bytes == text.as_bytes());
        let text = head.trim_ascii_start();
        let tag = text.get(..9).unwrap_or_default().to_ascii_lowercase();
        match head {
            [] => Some(Self::Empty),
            [b'v', ..] if head.starts_with(b"version https://git-lfs") => {
                let text = String::from_utf8_lossy(head);
                let size = text.lines().find_map(|line| line.strip_prefix("size ")?.trim().parse().ok());
                Some(Self::GitLfs(size))
            }
            [b'P', b'K', 3, 4, ..] if has("data.pkl") => Some(Self::PyTorch),
            [b'P', b'K', 3, 4, ..] if has(".npy") => Some(Self::Npz),
            [b'P', b'K', 3, 4, ..] if has("metadata.json") || has("config.json") || has(".h5") => Some(Self::Keras),
            [b'P', b'K', 3, 4, ..] => Some(Self::Zip),
            // A pickle begins with its protocol.
            [0x80, 2..=5, ..] => Some(Self::PyTorch),
            [0x89, b'H', b'D', b'F', ..] => Some(Self::Keras),
            [b'G', b'G', b'U', b'F', ..] => Some(Self::Gguf),
            [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some(Self::Npz),
            [_, _, _, _, b'T', b'F', b'L', b'3', ..] => Some(Self::TfLite),
            // Of a protocol buffer: the version of ONNX as field 1, then the name of the program that wrote it, or the graph.
            [0x08, 1..=32, 0x12 | 0x1a | 0x22 | 0x2a | 0x32 | 0x3a | 0x42, ..] => Some(Self::Onnx),
            _ if text.first() == Some(&b'{') && has("weight_map") => Some(Self::Index),
            _ if tag == b"<!doctype" || tag.starts_with(b"<html") => Some(Self::WebPage),
            _ => None,
        }
    }

    /// What to do with such a file. `path` is where it is.
    pub(crate) fn advice(&self, path: &Path) -> String {
        let file = format!("{:?}", path.file_name().unwrap_or_default().to_string_lossy());
        let out = format!("{:?}", path.with_extension("safetensors").file_name().unwrap_or_default().to_string_lossy());
        let how = match self {
            Self::GitLfs(_) => return "`git lfs pull` in its repository brings the file itself".to_owned(),
            Self::Gguf => return "take the safetensors file that it was made from".to_owned(),
            Self::WebPage => return "download the file anew; its address may need a login, or be that of a page about it".to_owned(),
            Self::Empty => return "download or copy it anew".to_owned(),
            Self::TfLite => return "take the net that it was exported from, and write its weights as safetensors (docs/nets.md)".to_owned(),
            Self::Index => {
                "import glob; from safetensors.torch import load_file, save_file\n\
                 save_file({k: v for f in glob.glob(\"*-of-*.safetensors\") for k, v in load_file(f).items()}, \"all.safetensors\")"
                    .to_owned()
            }
            Self::PyTorch | Self::Zip => format!(
                "import torch; from safetensors.torch import save_file\n\
                 save_file(torch.load({file}, map_location=\"cpu\", weights_only=True), {out})"
            ),
            Self::Keras => format!(
                "import keras; from safetensors.numpy import save_file; net = keras.models.load_model({file})\n\
                 save_file({{f\"{{l.name}}.{{i}}\": w for l in net.layers for i, w in enumerate(l.get_weights())}}, {out})"
            ),
            Self::Onnx => format!(
                "import onnx; from safetensors.numpy import save_file\n\
                 save_file({{t.name: onnx.numpy_helper.to_array(t) for t in onnx.load({file}).graph.initializer}}, {out})"
            ),
            Self::Npz => format!(
                "import numpy; from safetensors.numpy import save_file\n\
                 save_file(dict(numpy.load({file})), {out})"
            ),
        };
        let names = match self {
            Self::Keras | Self::Onnx | Self::Npz => {
                "\nNames and layouts have to be PyTorch's: docs/nets.md says which are which."
            }
            Self::PyTorch => {
                "\nIf it holds more than a state_dict, save that part of it: …[\"state_dict\"], or ….state_dict()."
            }
            _ => "",
        };
        format!("safetensors is expected; in Python:\n{how}{names}")
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GitLfs(Some(size)) => return write!(f, "a Git LFS pointer to a file of {size} bytes"),
            Self::GitLfs(None) => "a Git LFS pointer to a file",
            Self::PyTorch => "a pickle, as PyTorch writes it (.pth, .pt, .bin)",
            Self::Keras => "a file of Keras (HDF5, .h5 or .keras)",
            Self::Onnx => "an ONNX graph (.onnx)",
            Self::Gguf => "a GGUF file",
            Self::Npz => "a file of NumPy arrays (.npz, .npy)",
            Self::TfLite => "a TensorFlow Lite graph (.tflite)",
            Self::Index => "the index of weights that are spread over several files",
            Self::WebPage => "a web page",
            Self::Zip => "a zip archive",
            Self::Empty => "empty",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 46830571\n";
        let formats: [(&[u8], FileFormat); 14] = [
            (b"", FileFormat::Empty),
            (pointer, FileFormat::GitLfs(Some(46_830_571))),
            (b"PK\x03\x04\0\0\0\0archive/data.pklFB", FileFormat::PyTorch),
            (b"\x80\x02\x8a\x0al\xfc\x9c", FileFormat::PyTorch),
            (b"PK\x03\x04-\0\0\0conv1.weight.npy", FileFormat::Npz),
            (b"\x93NUMPY\x01\0v\0{'descr'", FileFormat::Npz),
            (b"PK\x03\x04\x14\0\0\0metadata.json", FileFormat::Keras),
            (b"PK\x03\x04\x14\0\0\0other.txt", FileFormat::Zip),
            (b"\x89HDF\r\n\x1a\n\0", FileFormat::Keras),
            (b"GGUF\x03\0\0\0\0\0", FileFormat::Gguf),
            (b"\x08\x08\x12\x07pytorch\x1a\x052.4.0", FileFormat::Onnx),
            (b"\x1c\0\0\0TFL3\x14\0", FileFormat::TfLite),
            (b"{\n  \"metadata\": {}, \"weight_map\": {", FileFormat::Index),
            (b"\n<!DOCTYPE html><html>", FileFormat::WebPage),
        ];
        for (head, format) in formats {
            assert_eq!(FileFormat::of(head), Some(format), "{head:?}");
        }
        // A header of 2,056 bytes begins as ONNX does.
        assert_eq!(FileFormat::of(b"\x08\x08\0\0\0\0\0\0{\"conv1.weight\""), None);
        assert_eq!(FileFormat::of(b"\x08\x08\x12\0\0\0\0\0{\"conv1.weight\""), None);
        assert_eq!(FileFormat::of(b"nothing"), None);
    }
}
