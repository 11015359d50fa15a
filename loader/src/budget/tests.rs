use std::path::Path;

use super::{headroom, probe, take};

#[test]
fn what_is_taken_is_given_back_unless_it_stays() {
    let file = Path::new("plugin.so");
    // Other tests of this program map nothing.
    let before = headroom(10).images_used;
    let limit = u32::try_from(before).unwrap() + 1;
    let room = take(file, limit).unwrap();
    assert_eq!(headroom(limit).images_used, before + 1);
    let error = take(file, limit).unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), ("image-budget", true));
    let expected = format!("runs short of mapped libraries: {limit} of {limit} are used; restart the host");
    assert!(error.to_string().contains(&expected), "{error}");
    drop(room);
    probe(file, limit).unwrap();
    assert_eq!(headroom(limit).images_used, before);
    take(file, limit).unwrap().keep();
    assert!(probe(file, limit).is_err());
}

#[test]
fn what_is_left_is_known() {
    let now = headroom(7);
    assert!(now.keys_ok);
    assert_eq!(now.images_limit, 7);
    assert!(now.maps_free.is_some_and(|free| free > 1000), "{now:?}");
    assert!(now.fds_free.is_none_or(|free| free > 10), "{now:?}");
}
