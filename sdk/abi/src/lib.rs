//! The frozen C ABI.
