//! The SCIM 2.0 adapter (RFC 7643, RFC 7644).

mod blame;
mod body;
pub mod dialect;
mod fault;
mod filter;
mod patch;
mod wire;
