//! Who is told of what belongs to no call.

use std::sync::Mutex;

use abi_stable::prefix_type::WithMetadata;
use abi_stable::staticref;
use mini_chat_plugin_abi::host::HostServices;

use super::*;
use crate::plugin::trace::nowhere;

static TOLD: Mutex<Vec<(u64, String)>> = Mutex::new(Vec::new());

struct Table;

impl Table {
    staticref! {const SERVICES: WithMetadata<HostServices> = WithMetadata::new(HostServices {
        log,
        metric,
        fact,
        tracing: nowhere::functions(),
    });}
}

extern "C" fn log(handle: u64, _: FfiLogLevel, target: FfiStr<'_>, _: FfiStr<'_>) -> FfiServiceStatus {
    TOLD.lock().expect("no panic").push((handle, target.as_str().to_owned()));
    FfiServiceStatus::OK
}

extern "C" fn metric(_: u64, _: FfiStr<'_>, _: f64, _: FfiStr<'_>) -> FfiServiceStatus {
    FfiServiceStatus::UNSUPPORTED
}

extern "C" fn fact(_: u64, _: FfiStr<'_>, _: &mut FfiString) -> FfiServiceStatus {
    FfiServiceStatus::NOT_FOUND
}

/// A new instance is tried and closed; the old one goes on, and so do its panics.
#[test]
fn an_instance_that_is_closed_is_not_told() {
    let host = |handle| Host { handle, services: HostServicesRef(Table::SERVICES.as_prefix()) };
    let told = || {
        log_from_image(FfiLogLevel::ERROR, "a panic");
        std::mem::take(&mut *TOLD.lock().expect("no panic"))
    };
    assert_eq!(told(), []);
    add_of_image(host(1), "serves");
    add_of_image(host(2), "tried");
    assert_eq!(told(), [(2, "tried".to_owned())]);
    forget_of_image(2);
    assert_eq!(told(), [(1, "serves".to_owned())]);
    forget_of_image(1);
    assert_eq!(told(), []);
}
