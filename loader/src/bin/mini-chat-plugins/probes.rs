//! [`Probes`]: how whoever watches over the program learns how it is: over HTTP (`http.rs`), and through systemd
//! (`notify.rs`). Both begin before the first plugin is started, on one thread of their own.

mod http;
mod notify;

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use mini_chat_plugin_loader::metrics::PrometheusRecorder;
use mini_chat_plugin_loader::{PluginHost, Probe};

use crate::exit::Exit;
use crate::failure::Failure;
use notify::Notifier;

/// How the host is, for those who ask and those who are told.
pub(crate) struct Probes {
    stage: Arc<Stage>,
    runtime: Option<tokio::runtime::Handle>,
    notifier: Option<Arc<Notifier>>,
}

/// How far the program is.
#[derive(Debug, Default)]
struct Stage {
    /// None while plugins are started.
    host: OnceLock<Probe>,
    ending: AtomicBool,
}

impl Stage {
    /// Whether the host shows that it is at work; false before it is there, too.
    async fn is_alive(&self) -> bool {
        match self.host.get() {
            Some(host) => host.is_alive().await,
            None => false,
        }
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }
}

/// Takes an address for the probes, before anything is started.
pub(crate) fn bind(address: &str) -> Result<(TcpListener, SocketAddr), Failure> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    listener.map_err(|error| {
        let what = format!("--listen {address}: expected an address that is free, such as 127.0.0.1:9464");
        Failure::new(Exit::BadConfig, what).because(error)
    })
}

impl Probes {
    /// Answers from now on: that plugins are being started.
    pub(crate) fn start(listener: Option<TcpListener>) -> Result<Self, Failure> {
        let (stage, notifier) = (Arc::new(Stage::default()), Notifier::from_environment().map(Arc::new));
        if listener.is_none() && notifier.is_none() {
            return Ok(Self { stage, runtime: None, notifier });
        }
        let failed = |error| Failure::new(Exit::Unavailable, "the thread for probes").because(error);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        if let Some(listener) = listener {
            let recorder = PrometheusRecorder::default();
            metrics::set_global_recorder(recorder.clone()).map_err(|error| {
                Failure::new(Exit::Unavailable, "the recorder of metrics").because(error.to_string())
            })?;
            drop(handle.spawn(http::serve(listener, recorder, Arc::clone(&stage))));
        }
        let work = move || runtime.block_on(std::future::pending::<()>());
        std::thread::Builder::new().name("probes".to_owned()).spawn(work).map_err(failed)?;
        Ok(Self { stage, runtime: Some(handle), notifier })
    }

    /// The host has started.
    pub(crate) fn ready(&self, host: &PluginHost) {
        // Once per program.
        let _ = self.stage.host.set(host.probe());
        if let (Some(runtime), Some(notifier)) = (&self.runtime, &self.notifier) {
            let told = notifier.ready(&host.probe());
            notify::keep_telling(runtime, notifier, &self.stage, host.probe(), told);
        }
    }

    /// Files are looked at again because of SIGHUP: `look` begins that.
    pub(crate) fn reload(&self, look: impl FnOnce()) {
        if let Some(notifier) = &self.notifier {
            notifier.reloading();
        }
        look();
        if let (Some(notifier), Some(host)) = (&self.notifier, self.stage.host.get()) {
            notifier.ready(host);
        }
    }

    /// The host is about to end.
    pub(crate) fn ending(&self) {
        self.stage.ending.store(true, Ordering::Relaxed);
        if let Some(notifier) = &self.notifier {
            notifier.stopping();
        }
    }
}
