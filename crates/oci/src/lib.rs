//! Images and artifacts as the Open Container Initiative defines them.

mod archive;
mod artifact;
mod digest;
mod error;
pub mod manifest;
mod reference;

pub use artifact::{ARTIFACT_TYPE, Artifact};
pub use digest::{Digest, Hasher};
pub use error::OciError;
pub use reference::Reference;
