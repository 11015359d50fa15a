//! The host's services as a plugin's instance sees them.

use std::sync::RwLock;

use mini_chat_plugin_abi::buffer::{FfiStr, FfiString};
use mini_chat_plugin_abi::host::{FfiLogLevel, FfiServiceStatus, HostServicesRef};

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
}

/// The newest instance of this image, by name, and its host: where panics that belong to no call are reported.
static OF_IMAGE: RwLock<Option<(Host, String)>> = RwLock::new(None);

pub(crate) fn set_of_image(host: Host, instance: &str) {
    if let Ok(mut slot) = OF_IMAGE.write() {
        *slot = Some((host, instance.to_owned()));
    }
}

/// Writes a record to the host's log, if this image has had an instance.
#[cfg_attr(not(mini_chat_elf), allow(dead_code, reason = "the panic hook is for loaded libraries"))]
pub(crate) fn log_from_image(level: FfiLogLevel, message: &str) {
    let newest = OF_IMAGE.read().ok().and_then(|slot| slot.clone());
    if let Some((host, instance)) = newest {
        host.log(level, &instance, message);
    }
}
