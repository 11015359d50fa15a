//! The host's services as a plugin's instance sees them.

use std::sync::{PoisonError, RwLock};

use mini_chat_plugin_abi::buffer::{FfiStr, FfiString};
use mini_chat_plugin_abi::host::{FfiLogLevel, FfiServiceStatus, HostServicesRef};
use mini_chat_plugin_abi::tracing::HostTracingRef;

#[cfg(test)]
mod tests;

/// The services, with the handle of the host object that they are asked for.
#[derive(Clone, Copy)]
pub(crate) struct Host {
    pub(crate) handle: u64,
    pub(crate) services: HostServicesRef,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl Host {
    pub(crate) fn log(self, level: FfiLogLevel, target: &str, message: &str) -> FfiServiceStatus {
        self.services.log()(self.handle, level, FfiStr::new(target), FfiStr::new(message))
    }

    /// A fact of the host; none if it does not know it or is gone.
    pub(crate) fn fact(self, name: &str) -> Option<String> {
        let mut out = FfiString::default();
        let status = self.services.fact()(self.handle, FfiStr::new(name), &mut out);
        (status == FfiServiceStatus::OK).then(|| out.into())
    }

    /// Where spans and events go; none in a host that does not take them.
    pub(crate) fn tracing(self) -> Option<HostTracingRef> {
        #[cfg(mini_chat_abi = "1.0")]
        return None;
        #[cfg(not(mini_chat_abi = "1.0"))]
        self.services.tracing()
    }
}

/// The open instances of this image, by name, and their hosts, the newest last: it is where panics that belong to no call are
/// reported.
static OF_IMAGE: RwLock<Vec<(Host, String)>> = RwLock::new(Vec::new());

pub(crate) fn add_of_image(host: Host, instance: &str) {
    OF_IMAGE.write().unwrap_or_else(PoisonError::into_inner).push((host, instance.to_owned()));
}

/// An instance is closed: an older one may go on.
pub(crate) fn forget_of_image(handle: u64) {
    OF_IMAGE.write().unwrap_or_else(PoisonError::into_inner).retain(|(host, _)| host.handle != handle);
}

/// Writes a record to the host's log, if this image has an instance.
#[cfg_attr(not(mini_chat_elf), allow(dead_code, reason = "the panic hook is for loaded libraries"))]
pub(crate) fn log_from_image(level: FfiLogLevel, message: &str) {
    let newest = OF_IMAGE.read().unwrap_or_else(PoisonError::into_inner).last().cloned();
    if let Some((host, instance)) = newest {
        host.log(level, &instance, message);
    }
}
