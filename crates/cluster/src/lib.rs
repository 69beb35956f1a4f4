//! The cluster engines: the lab on Kubernetes, on a kind cluster of its own or on one that was there before.
//!
//! [`bootstrap`] takes the lab from whatever state it is in to one that Argo CD keeps at a digest; each step looks before it
//! acts. [`push`] moves it to another digest. [`ClusterEngine`] lets verification ask it. Kubernetes is spoken to through
//! `kube` alone; docker, podman, kind and kustomize are programs, driven through xshell.

pub mod argocd;
pub mod bootstrap;
pub mod bundle;
mod campaign;
mod client;
pub mod commands;
mod diagnosis;
mod engine;
mod error;
pub mod images;
pub mod kind;
mod kustomize;
mod namespaces;
mod objects;
pub mod pins;
mod run;
pub mod sbom;
pub mod secrets;
mod site;
mod staging;
mod workloads;

pub use client::{Kube, connect};
pub use engine::ClusterEngine;
pub use error::ClusterError;
pub use namespaces::Namespaces;
pub use site::Site;
pub use staging::{Changes, OwnImage, Staged};
