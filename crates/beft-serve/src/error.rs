use std::net::SocketAddr;
use std::path::PathBuf;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Why a server does not start, or stops.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The model, or an adapter.
    #[error(transparent)]
    Beft(#[from] beft::Error),
    /// An address that cannot be listened on.
    #[error("cannot listen on {address}: {source}: choose another address")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A file that cannot be read.
    #[error("{}: {source}: check the spelling and the rights", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A folder of adapters that is none.
    #[error("{}: it is no folder: give a folder of adapter folders", .0.display())]
    NoFolder(PathBuf),
    /// A file of a key that holds none.
    #[error("{}: it holds no key: write one line of at least 16 characters without spaces, and no other line", .0.display())]
    NoKey(PathBuf),
    /// A name that cannot be an adapter's.
    #[error(
        "`{0}` cannot be the name of an adapter: use at most 64 letters, digits, dots, dashes and underscores"
    )]
    Name(String),
    /// Two adapters of one name.
    #[error("two adapters are called `{0}`: give one of them another name")]
    Twice(String),
    /// An origin that is none.
    #[error("`{0}` is no origin of web pages: write it as https://example.org")]
    Origin(String),
    /// Nothing can be asked of the server.
    #[error(
        "{model} has no head of its own: give at least one adapter, or a folder of adapters to load"
    )]
    NothingToServe {
        /// The base model.
        model: String,
    },
    /// The system refuses.
    #[error("the server cannot run: {0}")]
    System(#[from] std::io::Error),
}

/// An answer that is an error.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    message: String,
}

/// The body of an error.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// What is wrong, and what to do.
    error: String,
    /// The kind, by text-embeddings-inference's names.
    error_type: &'static str,
}

/// The body of an error on the routes of OpenAI, whose clients show a message only where this has it.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiError {
    error: OpenAiErrorParts,
}

/// What such an error says.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiErrorParts {
    /// What is wrong, and what to do.
    message: String,
    /// The kind, by the names of the other routes.
    r#type: &'static str,
    /// Always null.
    param: Option<&'static str>,
    /// The status.
    code: u16,
}

impl From<&ApiError> for OpenAiError {
    fn from(error: &ApiError) -> Self {
        Self {
            error: OpenAiErrorParts {
                message: error.message.clone(),
                r#type: error.error_type(),
                param: None,
                code: error.status.as_u16(),
            },
        }
    }
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// A request that makes no sense.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// More than a request may ask for.
    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// A request that cannot be answered by what it asks.
    pub(crate) fn unfit(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub(crate) fn overloaded() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "the server has as many requests as it takes: try again later",
        )
    }

    pub(crate) fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping")
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the computation failed: see the server's log",
        )
    }

    fn error_type(&self) -> &'static str {
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => "Overloaded",
            StatusCode::SERVICE_UNAVAILABLE => "Unhealthy",
            StatusCode::INTERNAL_SERVER_ERROR => "Backend",
            StatusCode::UNPROCESSABLE_ENTITY => "Tokenizer",
            StatusCode::UNAUTHORIZED => "Unauthorized",
            StatusCode::FORBIDDEN => "Forbidden",
            StatusCode::NOT_FOUND => "NotFound",
            StatusCode::CONFLICT => "Conflict",
            _ => "Validation",
        }
    }
}

impl From<beft::Error> for ApiError {
    fn from(error: beft::Error) -> Self {
        let status = match &error {
            beft::Error::NoSuchAdapter { .. } => StatusCode::NOT_FOUND,
            beft::Error::OtherGeneration { .. } => StatusCode::CONFLICT,
            beft::Error::NotFinite { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            error_type: self.error_type(),
            error: self.message.clone(),
        };
        let mut response = (self.status, axum::Json(body)).into_response();
        // The gate knows the route, and may say it in another form.
        response.extensions_mut().insert(self.clone());
        let mut put = |name, value| {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        };
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => put(header::RETRY_AFTER, "1"),
            StatusCode::UNAUTHORIZED => {
                // A browser asks for it then: any user, and the key as the password.
                put(
                    header::WWW_AUTHENTICATE,
                    "Basic realm=\"beft\", charset=\"UTF-8\"",
                );
            }
            _ => {}
        }
        response
    }
}
