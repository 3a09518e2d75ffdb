//! The workspace's side: any SCIM 2.0 service provider (RFC 7643, RFC 7644).
//!
//! What must not live here: loops over people, decisions about a person.

pub mod adapter;
mod body;
mod check;
mod control;
mod control_read;
mod create;
pub mod criterion;
pub mod dialect;
mod fault;
mod filter;
mod listing;
mod observe;
mod patch;
mod rejected_attributes;
mod removal;
mod service;
pub mod target;
mod update;
mod wire;
