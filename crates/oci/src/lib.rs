//! Images and artifacts as the Open Container Initiative defines them: packed, kept in layouts, pushed and pulled.
//!
//! [`Artifact`] is a directory as one layer, which Argo CD reads as an `oci://` source. [`Layout`] is a directory of images;
//! [`image::build`] makes one in it from a static program, such as a [`StaticBuild`] gives, and [`docker_archive::import`]
//! takes those of `docker save`. [`Registry`] moves them, each blob as a stream and checked against its digest on the way in
//! and out.
//!
//! What is packed is reproducible byte for byte: no time, user, path or order of this machine gets into it.

mod archive;
mod artifact;
mod bundle;
mod credentials;
mod digest;
pub mod docker_archive;
mod error;
pub mod image;
mod layout;
pub mod manifest;
mod meter;
mod reference;
mod registry;
mod source;
mod static_build;

pub use artifact::{ARTIFACT_TYPE, Artifact};
pub use bundle::{Bundle, LocalImage, Recipe as BundleRecipe};
pub use digest::{Digest, Hasher};
pub use error::OciError;
pub use layout::{BlobWriter, Layout};
pub use meter::Meter;
pub use reference::Reference;
pub use registry::{Moved, Registry, Settings};
pub use source::{BlobReader, ImageSource, NamedImage, Parts};
pub use static_build::StaticBuild;
