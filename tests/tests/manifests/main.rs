//! The manifests as objects: what kustomize makes of them, what refers to what, who may speak to whom, and what a real API
//! server says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api_server;
mod applications;
mod argo;
mod argo_cd;
mod builds;
mod flows;
mod networks;
mod references;
mod security;
mod sizes;
mod types;
