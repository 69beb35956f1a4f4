//! The commands of a lab on a cluster, one a file.

pub mod bundle;
pub mod chaos;
pub mod credentials;
pub mod down;
pub mod images;
pub mod logs;
pub mod pin;
pub mod push;
pub mod status;
