//! Images and artifacts as the Open Container Initiative defines them.

mod archive;
mod artifact;
mod digest;
pub mod docker_archive;
mod error;
pub mod image;
mod layout;
pub mod manifest;
mod reference;

pub use artifact::{ARTIFACT_TYPE, Artifact};
pub use digest::{Digest, Hasher};
pub use error::OciError;
pub use layout::{BlobReader, BlobWriter, Layout, NamedImage};
pub use reference::Reference;
