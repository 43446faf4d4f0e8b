//! Why a model cannot be used.

use std::path::PathBuf;

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The manifest or the model file is not there or cannot be read.
    #[error("cannot read {}: {error}; run scripts/setup, which fetches the models", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said. It is part of the message, and so no `source()`: a chain would print it twice.
        error: std::io::Error,
    },
    /// The manifest is wrong in itself.
    #[error("the manifest {} is not valid: {reason}", path.display())]
    Manifest {
        /// Which manifest.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The model file is another than the manifest describes.
    #[error("{} is not the file that its manifest describes: expected SHA-256 {expected}, found {found}; \
             run scripts/setup to fetch it again, or correct the manifest if you replaced the model", path.display())]
    Digest {
        /// Which model file.
        path: PathBuf,
        /// The digest in the manifest.
        expected: String,
        /// The digest of the file.
        found: String,
    },
    /// The file has the right digest, but the library cannot run it.
    #[error("{} cannot be run: {reason}", path.display())]
    Unusable {
        /// Which model file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file is not as its manifest says.
    #[error("{}: {what}: the manifest says {expected}, the file has {found}; correct the manifest", path.display())]
    Mismatch {
        /// Which manifest.
        path: PathBuf,
        /// What differs.
        what: String,
        /// What the manifest says.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// The library finds no processors, and so runs no model at all.
    #[error("TensorFlow Lite runs no model here: it looks for the processors in {}, which is not there; \
             mount /sys, in a container or chroot too", missing.display())]
    Processors {
        /// Where it looks for them.
        missing: PathBuf,
    },
    /// A run failed.
    #[error("running {name} failed: {reason}")]
    Run {
        /// Which model.
        name: String,
        /// What the library said.
        reason: String,
    },
}
