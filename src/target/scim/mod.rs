//! The SCIM 2.0 adapter (RFC 7643, RFC 7644).
