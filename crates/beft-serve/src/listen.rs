//! Connections, from the first to the last.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use beft::AdapterSet;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::app::App;
use crate::routes::router;
use crate::{ServeError, ServeOptions};

/// Serves adapters over the model of `set` until the process is told to stop (SIGTERM, or Ctrl-C). What is in flight then
/// is finished. `on_ready` hears the address as soon as requests are taken.
///
/// # Errors
///
/// When an adapter cannot be loaded, a file cannot be read, or the address cannot be listened on.
pub fn serve(
    set: AdapterSet,
    options: &ServeOptions,
    on_ready: impl FnOnce(std::net::SocketAddr),
) -> Result<(), ServeError> {
    let app = Arc::new(App::new(set, options)?);
    if !options.bind.ip().is_loopback() && options.api_key_file.is_none() {
        tracing::warn!(
            address = %options.bind,
            "whoever reaches this address can use the server: let requests bring a key"
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(async {
        let bound = TcpListener::bind(options.bind).await;
        let listener = bound.map_err(|source| ServeError::Bind {
            address: options.bind,
            source,
        })?;
        on_ready(listener.local_addr()?);
        accept(listener, app, options).await
    });
    // A client that neither sends nor reads may not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

async fn accept(
    listener: TcpListener,
    app: Arc<App>,
    options: &ServeOptions,
) -> Result<(), ServeError> {
    let service = TowerToHyperService::new(router(app.clone()));
    let limits = options.limits;
    let places = Arc::new(Semaphore::new(limits.connections));
    let connections = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop_signal()?);
    loop {
        // More connections wait in the system's own queue.
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            () = &mut stop => break,
        };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Too many open files, or a client that is gone.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let connection = connection(stream, service.clone(), limits.read_time);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
    drop(listener);
    app.stop();
    tracing::info!(in_flight = app.in_flight(), "stopping");
    tokio::select! {
        () = connections.shutdown() => {}
        () = tokio::time::sleep(options.grace) => {
            tracing::warn!(in_flight = app.in_flight(), "requests were not finished in time");
        }
    }
    tracing::info!("stopped");
    Ok(())
}

fn connection(
    stream: TcpStream,
    service: TowerToHyperService<axum::Router>,
    read_time: Duration,
) -> http1::Connection<TokioIo<TcpStream>, TowerToHyperService<axum::Router>> {
    // Answers are small, and waiting for more of them is what Nagle's algorithm would do.
    let _ = stream.set_nodelay(true);
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(read_time)
        .serve_connection(TokioIo::new(stream), service)
}

/// Ends when the process is told to stop.
fn stop_signal() -> Result<impl Future<Output = ()>, ServeError> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        Ok(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    {
        Ok(async {
            // Without a handler the process ends at once.
            let _ = tokio::signal::ctrl_c().await;
        })
    }
}
