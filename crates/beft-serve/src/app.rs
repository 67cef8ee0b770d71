//! What all requests share.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::HeaderValue;
use beft::AdapterSet;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::engine::Engine;
use crate::error::ApiError;
use crate::key::Key;
use crate::routes::since_1970;
use crate::writer::Writer;
use crate::{Limits, ServeError, ServeOptions};

/// The state of the server.
pub(crate) struct App {
    pub(crate) set: AdapterSet,
    pub(crate) engine: Engine,
    /// Writes texts, where the base is a language model.
    pub(crate) writer: Option<Writer>,
    pub(crate) limits: Limits,
    pub(crate) max_batch_tokens: usize,
    /// The folder whose adapters may be loaded.
    pub(crate) root: Option<PathBuf>,
    pub(crate) key: Key,
    pub(crate) metrics: PrometheusHandle,
    /// When the server started, in seconds since 1970.
    pub(crate) started: u64,
    /// The name by which the base itself is asked.
    pub(crate) base: Option<String>,
    /// Web pages of these origins may send requests.
    pub(crate) origins: Vec<HeaderValue>,
    /// Whether only programs of this machine can ask, and need no key.
    pub(crate) local: bool,
    stopping: AtomicBool,
    places: Arc<Semaphore>,
    /// KiB of requests that are being read.
    reading: Semaphore,
    /// Requests whose texts become tokens.
    preparing: Semaphore,
}

/// A place among the requests that are taken at a time.
pub(crate) type Place = OwnedSemaphorePermit;

/// KiB of requests that are read at a time. Clients that send slowly hold no place, but memory.
const READING: usize = 256 << 10;

/// Upper ends of the histograms' buckets in seconds, 0.1 ms to 51 s.
fn buckets() -> Vec<f64> {
    (0..20).map(|power| 1e-4 * f64::from(1 << power)).collect()
}

impl App {
    pub(crate) fn new(set: AdapterSet, options: &ServeOptions) -> Result<Self, ServeError> {
        let key = Key::read(options.api_key_file.as_deref())?;
        let root = options.adapter_root.as_ref();
        let root = root.map(|path| {
            let resolved = path.canonicalize();
            resolved.map_err(|source| ServeError::Read {
                path: path.clone(),
                source,
            })
        });
        let root = root.transpose()?;
        if let Some(path) = root.iter().find(|path| !path.is_dir()) {
            return Err(ServeError::NoFolder((*path).clone()));
        }
        let mut names = BTreeSet::new();
        for adapter in &options.adapters {
            if !is_name(&adapter.name) {
                return Err(ServeError::Name(adapter.name.clone()));
            }
            if !names.insert(&adapter.name) {
                return Err(ServeError::Twice(adapter.name.clone()));
            }
        }
        let base = base_name(set.model());
        let base = match names.contains(&base) {
            true => None,
            // A model that cannot do anything by itself is there for its adapters.
            false => match set.add_base(&base) {
                Ok(_) => Some(base),
                Err(beft::Error::NoHead { .. }) => None,
                Err(error) => return Err(error.into()),
            },
        };
        for adapter in &options.adapters {
            set.load(&adapter.name, &adapter.dir)?;
        }
        if set.members().is_empty() && root.is_none() {
            return Err(ServeError::NothingToServe {
                model: set.model().to_owned(),
            });
        }
        let writer = set.language_model()?;
        let writer = writer.map(|model| Writer::start(model, options.max_batch_tokens));
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("duration".to_owned()), &buckets())
            .map(PrometheusBuilder::build_recorder);
        let recorder = recorder.unwrap_or_else(|_| PrometheusBuilder::new().build_recorder());
        let metrics = recorder.handle();
        // A second server of one process counts into the first one's recorder.
        let _ = metrics::set_global_recorder(recorder);
        let origins = options.allowed_origins.iter().map(|origin| {
            let http = origin.starts_with("http://") || origin.starts_with("https://");
            let value = HeaderValue::from_str(origin).ok().filter(|_| http);
            value.ok_or_else(|| ServeError::Origin(origin.clone()))
        });
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            engine: Engine::start(&set, options.max_batch_tokens)?,
            writer: writer.transpose()?,
            set,
            limits: options.limits,
            max_batch_tokens: options.max_batch_tokens,
            root,
            key,
            metrics,
            started: since_1970().as_secs(),
            base,
            origins: origins.collect::<Result<_, _>>()?,
            local: options.bind.ip().is_loopback() && options.api_key_file.is_none(),
            stopping: AtomicBool::new(false),
            reading: Semaphore::new(READING.max(options.limits.payload >> 10)),
            preparing: Semaphore::new(cores),
            places: Arc::new(Semaphore::new(options.limits.concurrent_requests)),
        })
    }

    /// Takes a place for a request, or refuses it at once.
    pub(crate) fn place(&self) -> Result<Place, ApiError> {
        if self.stopping() {
            return Err(ApiError::stopping());
        }
        let place = self.places.clone().try_acquire_owned();
        place.map_err(|_| ApiError::overloaded())
    }

    /// Room for a request of so many bytes while it is read, or a refusal at once.
    pub(crate) fn room(&self, bytes: usize) -> Result<SemaphorePermit<'_>, ApiError> {
        let kib = u32::try_from(bytes.div_ceil(1024).max(1)).unwrap_or(u32::MAX);
        let room = self.reading.try_acquire_many(kib);
        room.map_err(|_| ApiError::overloaded())
    }

    /// Waits for a processor that turns texts into tokens.
    pub(crate) async fn processor(&self) -> Option<SemaphorePermit<'_>> {
        self.preparing.acquire().await.ok()
    }

    /// Requests that wait or are computed.
    pub(crate) fn in_flight(&self) -> usize {
        self.limits.concurrent_requests - self.places.available_permits()
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// Whether an adapter may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=64).contains(&name.len()) && name.chars().all(allowed) && !name.starts_with('.')
}

/// What the base model is called: the last part of its name.
fn base_name(model: &str) -> String {
    let last = model.trim_end_matches('/').rsplit('/').next();
    let name = last.unwrap_or(model).split('@').next().unwrap_or(model);
    match is_name(name) {
        true => name.to_owned(),
        false => "base".to_owned(),
    }
}
