//! Values of the commands' own flags, with errors in our words: those of the standard library say nothing to an admin.

use std::net::SocketAddr;

/// A number.
pub(super) fn number(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("expected a number from 0 to {}", u32::MAX))
}

/// An address with a port.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected an IP address and a port, such as 127.0.0.1:3389 or [::1]:3389".to_owned())
}
