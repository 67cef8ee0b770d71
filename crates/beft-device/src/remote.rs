//! Devices of another machine, by burn-remote over WebSocket.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;

/// The first word of a remote device's string: `remote:HOST:PORT`.
pub(crate) const NAME: &str = "remote";

/// The variable of the environment that names the file with the token of remote devices.
pub const TOKEN_FILE: &str = "BEFT_DEVICE_TOKEN_FILE";

/// A device that cannot be lent or borrowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// No token.
    #[error(
        "the token file {path} {reason}: write one line with a secret of 16 characters or more into it"
    )]
    Token {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The client does not know where its token is.
    #[error(
        "a remote device needs a token: set {TOKEN_FILE} to the file that the server was started with"
    )]
    NoToken,
    /// The server does not answer, or refuses.
    #[error(
        "the device server at {address} cannot be used ({reason}): is it running, and with the same token?"
    )]
    Connect {
        /// `HOST:PORT`.
        address: String,
        /// Why.
        reason: String,
    },
    /// The server cannot listen.
    #[error("cannot lend a device at {address}: {reason}")]
    Serve {
        /// Where.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
    /// The program was built without it.
    #[error("this program was built without the Cargo feature `remote`")]
    NotCompiled,
}

/// Shorter secrets can be guessed.
const SHORTEST_TOKEN: usize = 16;

fn read_token(path: &str) -> Result<String, RemoteError> {
    let fail = |reason: String| RemoteError::Token {
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|e| fail(format!("cannot be read ({e})")))?;
    let token = text.trim();
    match token.len() {
        SHORTEST_TOKEN.. => Ok(token.to_owned()),
        length => Err(fail(format!("has a token of {length} characters"))),
    }
}

/// The devices that this process has borrowed, as the user names them.
static BORROWED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The devices that this process has borrowed, separated by commas; `None` without any. burn panics when the server of one
/// goes away.
pub fn borrowed() -> Option<String> {
    let names = BORROWED.lock().unwrap_or_else(PoisonError::into_inner);
    (!names.is_empty()).then(|| names.join(","))
}

/// Borrows the device of the server at `HOST:PORT`, with the token of the file that [`TOKEN_FILE`] names.
///
/// # Errors
///
/// Without a token, and when the server does not answer or refuses it.
pub(crate) fn connect(address: &str) -> Result<Device, RemoteError> {
    let path = std::env::var(TOKEN_FILE).map_err(|_| RemoteError::NoToken)?;
    let device = open(address, &read_token(&path)?)?;
    let name = format!("{NAME}:{address}");
    let mut names = BORROWED.lock().unwrap_or_else(PoisonError::into_inner);
    if !names.contains(&name) {
        names.push(name);
    }
    Ok(device)
}

/// Lends a device to whoever has the token of a file, until the process gets SIGINT or SIGTERM. `on_ready` is called when
/// clients can connect.
///
/// # Errors
///
/// Without a token, and when the address is taken.
pub fn serve_device(
    device: Device,
    bind: SocketAddr,
    token_file: &str,
    on_ready: impl FnOnce(),
) -> Result<(), RemoteError> {
    serve(device, bind, &read_token(token_file)?, on_ready)
}

#[cfg(feature = "remote")]
fn open(address: &str, token: &str) -> Result<Device, RemoteError> {
    let host = burn::remote::RemoteHost::websocket(&format!("ws://{address}"));
    let device = Device::remote_options(&host.with_credential(token)).init();
    device.map_err(|error| RemoteError::Connect {
        address: address.to_owned(),
        reason: error.to_string(),
    })
}

#[cfg(feature = "remote")]
fn serve(
    device: Device,
    address: SocketAddr,
    token: &str,
    on_ready: impl FnOnce(),
) -> Result<(), RemoteError> {
    use burn::server::{RemoteServer, TokenAuthorizer, WebSocketTransport};

    let fail = |reason: String| RemoteError::Serve { address, reason };
    let listener = std::net::TcpListener::bind(address).map_err(|e| fail(e.to_string()))?;
    let authorizer = TokenAuthorizer::new(token).map_err(|e| fail(e.to_string()))?;
    let server = RemoteServer::new([device]).with_authorizer(authorizer);
    let transport = WebSocketTransport::from_listener(listener);
    on_ready();
    server.serve(transport).map_err(|e| fail(e.to_string()))
}

#[cfg(not(feature = "remote"))]
fn open(_address: &str, _token: &str) -> Result<Device, RemoteError> {
    Err(RemoteError::NotCompiled)
}

#[cfg(not(feature = "remote"))]
fn serve(
    _device: Device,
    _address: SocketAddr,
    _token: &str,
    _on_ready: impl FnOnce(),
) -> Result<(), RemoteError> {
    Err(RemoteError::NotCompiled)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_token_is_a_line_that_cannot_be_guessed() {
        let file = std::env::temp_dir().join(format!("beft-token-{}", std::process::id()));
        let path = file.display().to_string();
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            read_token(&path)
        };
        assert_eq!(read("0123456789abcdef\n").unwrap(), "0123456789abcdef");
        for wrong in ["", "\n", "short"] {
            let message = read(wrong).unwrap_err().to_string();
            assert!(
                message.contains(&path) && message.contains("16 characters or more"),
                "{message}"
            );
        }
        std::fs::remove_file(&file).unwrap();
        assert!(
            read_token(&path)
                .unwrap_err()
                .to_string()
                .contains("cannot be read")
        );
    }
}
